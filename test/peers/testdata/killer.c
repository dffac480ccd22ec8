// killer FIFO: for each line "PID INDEX" of its standard input says when, and sends SIGKILL. It runs in the PID namespace of
// those that it kills.
#include <signal.h>
#include "record.h"

int main(int argc, char **argv) {
	if (argc < 2) return 100;
	int pid;
	char index[32];
	while (scanf("%d %31s", &pid, index) == 2) {
		record(argv[1], "killed", index);
		if (kill(pid, SIGKILL)) record(argv[1], "missed", index);
	}
	return 0;
}
