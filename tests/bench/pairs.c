/* SPDX-License-Identifier: MIT
 *
 * pairs.c - compare the times of programs from start to exit.
 *
 *	pairs N -- LABEL PROGRAM ARGUMENT... -- LABEL PROGRAM ARGUMENT...
 *
 * Runs all programs in turn: one turn that does not count, then N. Prints a row of a
 * Markdown table for each: the median time, its ratio to that of the first program, the
 * median of the ratios within each turn, and the peak of memory. A program with the label
 * `-` prepares for the next one and is not timed. Their output is thrown away; each must
 * end with status 0. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define ENTRIES_MAX 16

struct entry {
	const char *label;
	char **argv;
	double *ms; /* owned, one for each turn */
	long peak;  /* KiB */
};

extern char **environ;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Run a program to its end. Returns milliseconds. */
static double run(struct entry *e, const posix_spawn_file_actions_t *actions)
{
	struct rusage usage;
	int status;
	pid_t pid;
	double begin = now();
	int rc = posix_spawnp(&pid, e->argv[0], actions, NULL, e->argv, environ);

	if (rc != 0) {
		fprintf(stderr, "pairs: %s: %s\n", e->argv[0], strerror(rc));
		exit(1);
	}
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			exit(1);
	double end = now();

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "pairs: %s (%s): status %d\n", e->label, e->argv[0],
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		exit(1);
	}
	if (usage.ru_maxrss > e->peak)
		e->peak = usage.ru_maxrss;
	return end - begin;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, size_t n, double *scratch)
{
	memcpy(scratch, values, n * sizeof *values);
	qsort(scratch, n, sizeof *scratch, by_value);
	return n % 2 ? scratch[n / 2] : (scratch[n / 2 - 1] + scratch[n / 2]) / 2;
}

static void print(const struct entry *entries, size_t count, size_t turns)
{
	double *ratio = calloc(turns, sizeof *ratio);
	double *scratch = calloc(turns, sizeof *scratch);
	const struct entry *first = entries;

	if (!ratio || !scratch)
		exit(1);
	while (strcmp(first->label, "-") == 0)
		first++;
	for (const struct entry *e = first; e < entries + count; e++) {
		if (strcmp(e->label, "-") == 0)
			continue;
		double ms = median(e->ms, turns, scratch);

		for (size_t i = 0; i < turns; i++)
			ratio[i] = e->ms[i] / first->ms[i];
		printf("| %s | %.2f ms | %.2f | %.2f | %.1f MB |\n", e->label, ms,
		       ms / median(first->ms, turns, scratch),
		       median(ratio, turns, scratch), (double)e->peak / 1024);
	}
	free(ratio);
	free(scratch);
}

/* Divide the words into entries. Returns their number, or 0 for bad usage. */
static size_t read_entries(struct entry *entries, int argc, char **argv, size_t turns)
{
	size_t count = 0;
	bool timed = false;

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		argv[i] = NULL;
		if (count == ENTRIES_MAX || i + 2 >= argc)
			return 0;
		entries[count] = (struct entry){
			.label = argv[i + 1],
			.argv = argv + i + 2,
			.ms = calloc(turns, sizeof(double)),
		};
		if (!entries[count].ms)
			return 0;
		timed = timed || strcmp(argv[i + 1], "-") != 0;
		count++;
	}
	return timed ? count : 0;
}

int main(int argc, char **argv)
{
	struct entry entries[ENTRIES_MAX];
	posix_spawn_file_actions_t actions;
	int turns = argc > 1 ? atoi(argv[1]) : 0;
	size_t count = 0;

	if (turns > 0 && argc > 2 && strcmp(argv[2], "--") == 0)
		count = read_entries(entries, argc, argv, (size_t)turns);
	if (count == 0) {
		fputs("usage: pairs N -- LABEL PROGRAM... [-- LABEL PROGRAM...]\n",
		      stderr);
		return 2;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (int turn = -1; turn < turns; turn++) {
		for (size_t i = 0; i < count; i++) {
			double ms = run(&entries[i], &actions);

			if (turn >= 0)
				entries[i].ms[turn] = ms;
		}
	}
	posix_spawn_file_actions_destroy(&actions);
	print(entries, count, (size_t)turns);
	for (size_t i = 0; i < count; i++)
		free(entries[i].ms);
	return 0;
}
