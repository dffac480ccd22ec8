// cell FIFO PROGRAM [ARGS]: what is first in a PID and mount namespace of its own: gives it its own /proc and an empty
// /run, and no control groups that it could write, as in a container of docker run; says when, and becomes the program,
// which thus is PID 1.
#include <sys/mount.h>
#include "record.h"

int main(int argc, char **argv) {
	if (argc < 3) return 100;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL) ||
		mount("tmpfs", "/run", "tmpfs", 0, "mode=755") || mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_RDONLY, NULL)) {
		perror("cell: cannot mount");
		return 111;
	}
	record(argv[1], "cell", "0");
	execv(argv[2], argv + 2);
	perror("cell: cannot execute");
	return 127;
}
