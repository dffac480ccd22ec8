package serve

import (
	"strings"
	"testing"
)

// TestSameDescriptorTwice: a service whose notification-fd is its lock-fd is not started, whoever asks for it.
func TestSameDescriptorTwice(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]map[string]string{"same": {"lock-fd": "5\n", "notification-fd": "5\n", "run*": "exec sleep 1000"}})
	tr := grow(t, dir)
	tr.until(t, "it is supervised", func() bool { _, code := tr.tool(t, "s6-svok", "@same"); return code == 0 })
	tr.tool(t, "s6-svc", "-ud", "@same")
	tr.until(t, "that was read", func() bool { out, _ := tr.tool(t, "s6-svstat", "-o", "wantedup", "@same"); return out == "false\n" })
	if strings.Contains(tr.said(t), "started") {
		t.Errorf("it was started:\n%s", tr.said(t))
	}
}
