package reference_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pintle/test/dockertest"
)

// What is prepared before anything starts: users by id, directories, repairs, seeds
// (B25–B37, B40).

// prepareVolume makes a volume that is removed after the containers, and has a root
// shell work in it first.
func prepareVolume(t *testing.T, script string) string {
	t.Helper()
	dockertest.Require(t)
	volume := "pintle-test-" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() {
		if r := dockertest.Docker(t, "volume", "rm", "-f", volume); r.Code != 0 {
			t.Errorf("a volume is left: %s", r)
		}
	})
	if script != "" {
		r := dockertest.Run(t, dockertest.Options{Flags: []string{"-v", volume + ":/opt/data", "--entrypoint", "bash"}}, "-ec", script)
		succeeds(t, r)
	}
	return volume
}

// prepareConditions are what pintle status says of what is not as it should be.
func prepareConditions(t *testing.T, c *dockertest.Container) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(succeeds(t, pintle(c, "0", "status"))) {
		if text, ok := strings.CutPrefix(line, "condition: "); ok {
			all = append(all, strings.TrimSpace(text))
		}
	}
	return all
}

// prepareOwners checks who owns paths in the container, as "PATH UID:GID MODE" each.
func prepareOwners(t *testing.T, c *dockertest.Container, want ...string) {
	t.Helper()
	argv := []string{"stat", "-c", "%n %u:%g %a"}
	for _, w := range want {
		argv = append(argv, strings.Fields(w)[0])
	}
	got := strings.Split(strings.TrimSpace(succeeds(t, c.Exec("0", argv...))), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("the owners are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The usual ways to say which user the data belongs to all work, on a volume of that
// user's, of root's, and on none: main, gateways and their files are that user's.
func TestPreparedUsers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		flags    []string
		uid, gid int
	}{
		{"the image's", nil, 10000, 10000},
		{"PUID and PGID", []string{"-e", "PUID=1000", "-e", "PGID=1000"}, 1000, 1000},
		{"unRAID's", []string{"-e", "PUID=99", "-e", "PGID=100"}, 99, 100},
		{"HERMES_UID comes first", []string{"-e", "PUID=1", "-e", "HERMES_UID=2000", "-e", "PGID=3", "-e", "HERMES_GID=2001"}, 2000, 2001},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			volume := prepareVolume(t, "chown -R 0:0 /opt/data; mkdir -p /opt/data/profiles/old /opt/data/cron; touch /opt/data/profiles/old/SOUL.md /opt/data/other")
			c := boot(t, dockertest.Options{Flags: append(test.flags, "-v", volume+":/opt/data")}, "sleep", "infinity")
			owner := fmt.Sprintf("%d:%d", test.uid, test.gid)
			prepareOwners(t, c,
				"/opt/data "+owner+" 755",
				"/opt/data/profiles/old "+owner+" 755",
				"/opt/data/profiles/old/SOUL.md "+owner+" 644",
				"/opt/data/logs/gateways "+owner+" 755",
				"/opt/data/.env "+owner+" 600",
				"/opt/data/other 0:0 644", // nobody has declared it
				"/opt/data/.pintle 0:0 700")
			if p := processOf(t, c, "sleep infinity"); p.UID != test.uid {
				t.Errorf("main is %+v", p)
			}
			// Names hold for docker exec too, and for who may manage.
			if id := succeeds(t, c.Exec("hermes", "sh", "-c", "id -u; id -g; echo $HOME; touch /opt/data/profiles/mine")); id != fmt.Sprintf("%d\n%d\n/opt/data\n", test.uid, test.gid) {
				t.Errorf("hermes is %q", id)
			}
			succeeds(t, pintle(c, "hermes", "create", "gateway@coder"))
			if all := prepareConditions(t, c); len(all) > 0 {
				t.Errorf("the conditions are %q", all)
			}
		})
	}
}

// A bad id ends the container before anything has changed, with the place of the key and the variable's name.
func TestPreparedUsersRefuseBadIDs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"PUID=0", "PGID=0", "HERMES_UID=abc", "PUID=70000", "PUID=-1", "PUID=1000 "} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			r := dockertest.Run(t, dockertest.Options{Flags: []string{"-e", bad}}, "true")
			name, _, _ := strings.Cut(bad, "=")
			says(t, r, 125, "/etc/pintle/pintle.yaml:", "cannot use prepare.users.hermes.", "the value from "+name)
		})
	}
}

// docker run --user: what can't be given away is not needed, since all that runs is that user's.
func TestPreparedAsAnotherUser(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		script     string
		flags      []string
		uid        int
		conditions []string
	}{
		{"as hermes", "", []string{"--user", "10000:10000"}, 10000, nil},
		{"as somebody in his own volume", "touch /opt/data/used; chown -R 12345:12345 /opt/data", []string{"--user", "12345:12345"}, 12345, []string{oneUser}},
		{"as somebody whom PUID names", "touch /opt/data/used; chown -R 12345:12345 /opt/data", []string{"--user", "12345:12345", "-e", "PUID=12345", "-e", "PGID=12345"}, 12345, nil},
		{"as somebody else than PUID names", "", []string{"--user", "10000:10000", "-e", "PUID=1000"}, 10000,
			[]string{"cannot prepare user hermes: pintle runs as uid 10000, and only root can give it uid 1000 and gid 10000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			volume := prepareVolume(t, test.script)
			c := boot(t, dockertest.Options{Flags: append(test.flags, "-v", volume+":/opt/data")}, "sleep", "infinity")
			owner := fmt.Sprintf("%d:%[1]d", test.uid)
			prepareOwners(t, c, "/opt/data/logs/gateways "+owner+" 755", "/opt/data/.env "+owner+" 600")
			if all := prepareConditions(t, c); !slices.Equal(all, test.conditions) {
				t.Errorf("the conditions are %q, want %q", all, test.conditions)
			}
		})
	}
}

// On a read-only root with a volume the ids hold for all that pintle starts, and it says for whom they do not.
func TestPreparedOnAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	volume := prepareVolume(t, "")
	c := boot(t, dockertest.Options{Flags: []string{"--read-only", "--tmpfs", "/run", "-v", volume + ":/opt/data", "-e", "PUID=1000", "-e", "PGID=1000"}},
		"sleep", "infinity")
	prepareOwners(t, c, "/opt/data 1000:1000 755", "/opt/data/logs/gateways 1000:1000 755", "/opt/data/.env 1000:1000 600")
	if p := processOf(t, c, "sleep infinity"); p.UID != 1000 {
		t.Errorf("main is %+v", p)
	}
	all := prepareConditions(t, c)
	if len(all) != 1 || !strings.HasPrefix(all[0], "cannot prepare user hermes: its uid 1000 and gid 1000 hold for what pintle starts, and not for others (docker exec -u): cannot change /etc/passwd: read-only file system") {
		t.Errorf("the conditions are %q", all)
	}
	succeeds(t, pintle(c, "1000", "create", "gateway@coder"))
}

// What hermes plants in the volume is refused where it is a symlink, and root's where it is a hard link or the state
// directory under another name; the container starts all the same.
func TestPreparedAgainstPlants(t *testing.T) {
	t.Parallel()
	volume := prepareVolume(t, `
		mkdir -p /opt/data/.pintle/intents /opt/data/host; chmod 700 /opt/data/.pintle
		echo host >/opt/data/host/secret; mkdir /opt/data/profiles
		ln /opt/data/host/secret /opt/data/profiles/secret
		ln -s /etc /opt/data/cron; ln -s /etc/shadow /opt/data/.env; ln -s /etc/shadow /opt/data/profiles/link
		mv /opt/data/.pintle /opt/data/sessions`)
	c := boot(t, dockertest.Options{Flags: []string{"-v", volume + ":/opt/data"}}, "sleep", "infinity")
	prepareOwners(t, c,
		"/etc 0:0 755",
		"/etc/shadow 0:42 640",
		"/opt/data/host/secret 0:0 644",
		"/opt/data/sessions 0:0 700",
		"/opt/data/profiles 10000:10000 755",
		"/opt/data/profiles/link 10000:10000 777")
	all := prepareConditions(t, c)
	for i, want := range []string{
		"cannot prepare /opt/data/profiles: 1 entry keeps its owner, such as /opt/data/profiles/secret: others' files that have more than one name",
		"cannot prepare /opt/data/cron: /opt/data/cron is a symlink that others may have put there: /opt/data belongs to uid 10000, not to root",
		"cannot prepare /opt/data/sessions: it is pintle's own state directory",
	} {
		if i >= len(all) || !strings.HasPrefix(all[i], want) {
			t.Errorf("condition %d of %q is not %q", i, all, want)
		}
	}
}

// What is seeded is seeded once: it is the user's from then on, also when he has removed what was in it.
func TestPreparedSeedsOnce(t *testing.T) {
	t.Parallel()
	c := boot(t, dockertest.Options{}, "sleep", "infinity")
	if text := succeeds(t, c.Exec("hermes", "cat", "/opt/data/.env")); !strings.Contains(text, "API_SERVER_KEY") {
		t.Errorf("the seed is %q", text)
	}
	succeeds(t, c.Exec("hermes", "sh", "-ec", "echo MINE=1 >/opt/data/.env; chmod 640 /opt/data/.env"))
	c.Restart()
	answers(t, c)
	if text := succeeds(t, c.Exec("hermes", "cat", "/opt/data/.env")); text != "MINE=1\n" {
		t.Errorf("the file is %q", text)
	}
	prepareOwners(t, c, "/opt/data/.env 10000:10000 640")
}

// A socket that is mounted lends its group to hermes's processes, but never root's group.
func TestPreparedGroups(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, gid  string
		groups     string
		conditions []string
	}{
		{"of its own", "998", "10000 998", nil},
		{"root's", "0", "10000", []string{"cannot prepare user hermes: cannot join the group of /var/run/docker.sock: it is root's (gid 0), which owns too much"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			volume := prepareVolume(t, `chown 0:0 /opt/data
				perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("/opt/data/docker.sock")) or die'
				chown 0:`+test.gid+` /opt/data/docker.sock; chmod 0660 /opt/data/docker.sock`)
			c := boot(t, dockertest.Options{Flags: []string{"-v", volume + ":/run"}}, "sh", "-c", "id -G; exec sleep infinity")
			prints(t, c, test.groups+"\n")
			if all := prepareConditions(t, c); !slices.Equal(all, test.conditions) {
				t.Errorf("the conditions are %q, want %q", all, test.conditions)
			}
		})
	}
}
