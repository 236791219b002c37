/* SPDX-License-Identifier: MIT
 *
 * coverage.c - linked into the program that `make coverage` measures: a process that ends
 * itself by a signal writes down first what it has run. Wraps raise(). */
#include <signal.h>

void __gcov_dump(void);
int __real_raise(int signo);
int __wrap_raise(int signo);

int __wrap_raise(int signo)
{
	__gcov_dump();
	return __real_raise(signo);
}
