// obedient: a well-behaved service: it ends at once when it is told to, also as PID 1, where no signal has a default.
#include <signal.h>
#include <unistd.h>

static void end(int signal) {
	(void)signal;
	_exit(0);
}

int main(void) {
	signal(SIGTERM, end);
	for (;;) pause();
}
