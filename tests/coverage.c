/* SPDX-License-Identifier: MIT
 *
 * coverage.c - part of the program that `make coverage` measures. It wraps raise(), so
 * that a process which ends itself by a signal saves its line counts first. */
#include <signal.h>

void __gcov_dump(void);
int __real_raise(int signo);
int __wrap_raise(int signo);

int __wrap_raise(int signo)
{
	__gcov_dump();
	return __real_raise(signo);
}
