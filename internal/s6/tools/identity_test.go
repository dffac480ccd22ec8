package tools

import (
	"syscall"
	"testing"
)

// show prints what a privilege tool changes.
const show = `id -u; id -g; id -G; env | grep -E '^(UID|GID|GIDLIST|HOME|USER|A)=' | sort`

func shown(args ...string) []string { return append(args, "sh", "-c", show) }

// nobodyElse is a user without rights.
var nobodyElse = &syscall.Credential{Uid: 65534, Gid: 65534}

// TestSetuidgid: s6-setuidgid drops the rights that the real one drops, in the same cases.
func TestSetuidgid(t *testing.T) {
	t.Parallel()
	compare(t, "s6-setuidgid", []trial{
		{name: "user", args: shown("nobody")},
		{name: "user with groups", args: shown("daemon")},
		{name: "system user", args: shown("www-data")},
		{name: "root", args: shown("root")},
		{name: "numbers", args: shown("1234:2345")},
		{name: "number and no group", args: shown("1234:")},
		{name: "no number and group", args: shown(":2345")},
		{name: "name and group", args: shown("nobody:nogroup")},
		{name: "zero", args: shown("0:0")},
		{name: "number alone is a name", args: shown("65534")},
		{name: "no account", args: shown("")},
		{name: "unknown user", args: shown("nosuchuser")},
		{name: "no program", args: []string{"nobody"}},
		{name: "nothing"},
		{name: "two colons", args: shown("1:2:3")},
		{name: "overflow", args: shown("4294967296:1")},
		{name: "largest", args: shown("4294967295:1")},
		{name: "missing program", args: []string{"nobody", "nosuchprogram"}},
		{name: "missing program by path", args: []string{"nobody", "/nosuch/program"}},
		{name: "missing program, no account", args: []string{"", "nosuchprogram"}},
		{name: "directory as program", args: []string{"nobody", "/etc"}},
		{name: "no right to execute", args: []string{"nobody", "./f"}, files: map[string]string{"f": "#!/bin/sh\n"}},
		{name: "no interpreter line", args: []string{"nobody", "./f"}, before: "echo echo hi >f; chmod 755 f"},
		{name: "inherited variables", args: shown("nobody"), env: []string{"UID=7", "GID=8", "GIDLIST=9", "HOME=/x", "USER=y"}},
		{name: "as nobody to nobody", args: shown("nobody"), as: nobodyElse},
		{name: "as nobody to root", args: shown("root"), as: nobodyElse},
		{name: "as nobody by numbers", args: shown("0:0"), as: nobodyElse},
		{name: "account like an option", args: shown("-u")},
		{name: "program like an option", args: []string{"nobody", "-x"}},
		{name: "program named as the step", args: []string{"nobody", "s6-applyuidgid", "-u", "7", "sh", "-c", show}},
	})
}

// TestEnvuidgid: s6-envuidgid exports the same ids in the same cases.
func TestEnvuidgid(t *testing.T) {
	t.Parallel()
	compare(t, "s6-envuidgid", []trial{
		{name: "user", args: shown("nobody")},
		{name: "root", args: shown("root")},
		{name: "only uid", args: shown("-u", "daemon")},
		{name: "group", args: shown("-g", "daemon")},
		{name: "both", args: shown("-B", "nobody:daemon")},
		{name: "unknown user", args: shown("nosuchuser")},
		{name: "unknown group", args: shown("-g", "nosuchgroup")},
		{name: "unknown group of both", args: shown("-B", "nobody:nosuchgroup")},
		{name: "unknown user of both", args: shown("-B", "nosuchuser:daemon")},
		{name: "numeric user", args: shown("-n", "-u", "1234")},
		{name: "numeric group", args: shown("-g", "-n", "1234")},
		{name: "numeric both", args: shown("-n", "-B", "12:34")},
		{name: "numeric fallback for nothing numeric", args: shown("-n", "-u", "12x"), differs: &difference{
			why: "the real one takes what only begins with digits for a number", code: 1, stderr: "s6-envuidgid: fatal: unknown user: 12x\n",
		}},
		{name: "default", args: shown("-D", "5:6:7,8", "nosuchuser")},
		{name: "default with parts missing", args: shown("-D", "5::7", "nosuchuser")},
		{name: "default with only a gid", args: shown("-D", ":6", "nosuchuser")},
		{name: "default with only a uid", args: shown("-D", "5", "nosuchuser")},
		{name: "default that is wrong", args: shown("-D", "x", "nosuchuser")},
		{name: "default with a wrong gid", args: shown("-D", "5:x", "nosuchuser")},
		{name: "default with a wrong list", args: shown("-D", "5:6:x", "nosuchuser")},
		{name: "default with junk", args: shown("-D", "5x", "nosuchuser")},
		{name: "default for a known user", args: shown("-D", "5:6:7", "nobody")},
		{name: "default, then insist", args: shown("-D", "5:6:7", "-i", "nosuchuser")},
		{name: "existing variables", args: shown("nobody"), env: []string{"A=1", "GIDLIST=7", "UID=4"}},
		{name: "no program", args: []string{"nobody"}},
		{name: "nothing"},
		{name: "unknown option", args: shown("-x", "nobody")},
		{name: "missing value", args: []string{"-D"}},
		{name: "long option", args: shown("--user", "nobody")},
		{name: "end of options", args: shown("--", "nobody")},
		{name: "missing program", args: []string{"nobody", "nosuchprogram"}},
		{name: "empty name", args: shown("")},
	})
}

// TestApplyuidgid: s6-applyuidgid takes on the same ids in the same cases.
func TestApplyuidgid(t *testing.T) {
	t.Parallel()
	ids := []string{"UID=12", "GID=34", "GIDLIST=5,6"}
	compare(t, "s6-applyuidgid", []trial{
		{name: "uid", args: shown("-u", "12")},
		{name: "gid", args: shown("-g", "34")},
		{name: "both", args: shown("-u", "12", "-g", "34")},
		{name: "groups", args: shown("-G", "5,6")},
		{name: "all", args: shown("-u12", "-g34", "-G5,6")},
		{name: "group that is in the list", args: shown("-g6", "-G5,6,7")},
		{name: "group that is twice in the list", args: shown("-g6", "-G5,6,6")},
		{name: "group that is first in the list", args: shown("-g5", "-G5,6,7")},
		{name: "other separators", args: shown("-G", "5:6 7;8")},
		{name: "empty list", args: shown("-g34", "-G", "")},
		{name: "list that is wrong", args: shown("-G", "x")},
		{name: "list that becomes wrong", args: shown("-G", "5,x")},
		{name: "from the environment", args: shown("-U"), env: ids},
		{name: "and unexport", args: shown("-Uz"), env: ids},
		{name: "unexport only", args: shown("-z"), env: append(ids, "A=1")},
		{name: "no UID", args: shown("-U"), env: ids[1:]},
		{name: "no GID", args: shown("-U"), env: []string{ids[0], ids[2]}},
		{name: "no GIDLIST", args: shown("-U"), env: ids[:2]},
		{name: "empty GIDLIST", args: shown("-U"), env: []string{ids[0], ids[1], "GIDLIST="}},
		{name: "wrong UID", args: shown("-U"), env: []string{"UID=x", ids[1], ids[2]}},
		{name: "wrong GID", args: shown("-U"), env: []string{ids[0], "GID=-1", ids[2]}},
		{name: "wrong GIDLIST", args: shown("-U"), env: []string{ids[0], ids[1], "GIDLIST=,"}},
		{name: "zero", args: shown("-u0", "-g0")},
		{name: "uid that is wrong", args: shown("-u", "root")},
		{name: "signed uid", args: shown("-u", "+1")},
		{name: "empty uid", args: shown("-u", "")},
		{name: "no program", args: []string{"-u", "12"}},
		{name: "nothing"},
		{name: "unknown option", args: shown("-x")},
		{name: "missing value", args: []string{"-u"}},
		{name: "as nobody", args: shown("-u", "12"), as: nobodyElse},
		{name: "as nobody the gid", args: shown("-g", "12"), as: nobodyElse},
		{name: "as nobody the groups", args: shown("-G", "12"), as: nobodyElse},
		{name: "as nobody what it is", args: shown("-u", "65534", "-g", "65534"), as: nobodyElse},
		{name: "missing program", args: []string{"-u12", "nosuchprogram"}},
	})
}
