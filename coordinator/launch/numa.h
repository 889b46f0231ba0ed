/* numa.h - workers beside their memory: on a machine with several NUMA domains each worker runs on the processors of one. */
#ifndef REELWRIGHT_NUMA_H
#define REELWRIGHT_NUMA_H

#include <sched.h>
#include <stdbool.h>

/* The processors of the domain that worker `index` of `workers` of this machine gets, among those allowed; neighbours, who form groups, share
 * one. False where nothing is to be gained: one domain, or workers that do not divide evenly among the domains. folder: NULL, or in the place
 * of /sys/devices/system/node. */
bool numa_processors(const char *folder, int index, int workers, const cpu_set_t *allowed, cpu_set_t *out);

/* Binds this process, before it has threads. */
void numa_bind(int index, int workers);

#endif
