// What a program of the benchmark says: one line into a FIFO, short enough to be written whole.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

// record writes "WORD INDEX PID NANOSECONDS\n", the time being CLOCK_MONOTONIC's.
static void record(const char *fifo, const char *word, const char *index) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int fd = open(fifo, O_WRONLY | O_CLOEXEC);
	if (fd < 0) _exit(111);
	char line[128];
	int length = snprintf(line, sizeof line, "%s %s %d %lld\n", word, index, (int)getpid(),
		(long long)now.tv_sec * 1000000000 + now.tv_nsec);
	if (write(fd, line, length) != length) _exit(111);
	close(fd);
}
