// service FIFO INDEX [OPTIONS]: the program that everybody supervises. It says when it was executed and stays.
// OPTIONS are letters: r says on descriptor 3 that it is ready, l writes a line of output, x ends at once.
#include <signal.h>
#include <string.h>
#include "record.h"

int main(int argc, char **argv) {
	if (argc < 3) return 100;
	record(argv[1], "started", argv[2]);
	const char *options = argc > 3 ? argv[3] : "";
	if (strchr(options, 'l')) {
		char line[64];
		int length = snprintf(line, sizeof line, "service %s is up\n", argv[2]);
		if (write(1, line, length) != length) return 111;
	}
	if (strchr(options, 'r')) {
		if (write(3, "\n", 1) != 1) return 111;
		close(3);
	}
	if (strchr(options, 'x')) return 0;
	signal(SIGTERM, SIG_DFL);
	for (;;) pause();
}
