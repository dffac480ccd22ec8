package supervisor

import (
	"os"
	"strings"
	"testing"
)

// TestAMessageOfNobody: who has ended before his message was read is told from who is none of ours, because only the
// first can do something about it. A script that says READY=1 by a program of a moment would look for long.
func TestAMessageOfNobody(t *testing.T) {
	const beyond = 1 << 30 // there is no such number (proc_sys_kernel(5), pid_max)
	if why := whyUnknown(beyond); !strings.Contains(why, "has ended already") {
		t.Errorf("of one that is gone: %s", why)
	}
	if why := whyUnknown(os.Getpid()); why != "it belongs to no run" {
		t.Errorf("of one that is there: %s", why)
	}
}
