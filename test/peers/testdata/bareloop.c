// bareloop MODE N FIFO SERVICE [OPTIONS]: the physical limit: nothing but vfork, setsid and exec of the service, N times.
// MODE "all" then restarts what ends, at once. MODE "asked" starts one more for each byte of its standard input instead.
// With r among OPTIONS each service gets a pipe on descriptor 3, and it says when all have written to theirs.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "record.h"

static char *fifo, *service, *options;

// spawn starts the service of that index and returns its pid; write, unless -1, becomes its descriptor 3.
static pid_t spawn(int index, int write) {
	char name[16];
	snprintf(name, sizeof name, "%d", index);
	char *args[] = {service, fifo, name, options, NULL};
	pid_t pid = vfork();
	if (pid == 0) {
		setsid();
		if (write == 3) fcntl(3, F_SETFD, 0);
		else if (write >= 0) dup2(write, 3);
		execv(service, args);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv) {
	if (argc < 5) return 100;
	int n = atoi(argv[2]), ready = 0;
	fifo = argv[3], service = argv[4], options = argc > 5 ? argv[5] : "";
	pid_t *pids = calloc(n + 1, sizeof *pids);
	struct pollfd *waits = calloc(n + 1, sizeof *waits);
	int asks = strchr(options, 'r') != NULL;

	if (!strcmp(argv[1], "asked")) {
		char byte;
		for (int i = 0; read(0, &byte, 1) == 1; i++) {
			spawn(i, -1);
			while (waitpid(-1, NULL, WNOHANG) > 0) {}
		}
		return 0;
	}
	for (int i = 0; i < n; i++) {
		int both[2] = {-1, -1};
		if (asks && pipe2(both, O_CLOEXEC)) return 111;
		pids[i] = spawn(i, both[1]);
		if (asks) close(both[1]);
		waits[i].fd = both[0], waits[i].events = POLLIN;
	}
	while (asks && ready < n) {
		if (poll(waits, n, -1) < 0 && errno != EINTR) return 111;
		for (int i = 0; i < n; i++) {
			char byte;
			if (waits[i].fd < 0 || !waits[i].revents) continue;
			if (read(waits[i].fd, &byte, 1) == 1) ready++;
			close(waits[i].fd);
			waits[i].fd = -1;
		}
	}
	if (asks) record(fifo, "ready", "0");
	for (;;) {
		pid_t ended = wait(NULL);
		for (int i = 0; i < n; i++) {
			if (pids[i] == ended && ended > 0) pids[i] = spawn(i, -1);
		}
		if (ended < 0 && errno == ECHILD) pause();
	}
}
