#include "numa.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/log.h"

enum { MOST_DOMAINS = 64 };

/* "0-3,8-11" -> those of them that are allowed; how many. */
static int read_list(FILE *f, const cpu_set_t *allowed, cpu_set_t *out)
{
    int first, last, c;
    CPU_ZERO(out);
    while (fscanf(f, "%d", &first) == 1) {
        last = first;
        if ((c = fgetc(f)) == '-') {
            if (fscanf(f, "%d", &last) != 1) break;
            c = fgetc(f);
        }
        for (size_t i = first < 0 ? CPU_SETSIZE : (size_t)first; i < CPU_SETSIZE && (int)i <= last; i++)
            if (CPU_ISSET(i, allowed)) CPU_SET(i, out);
        if (c != ',') break;
    }
    return CPU_COUNT(out);
}

/* Domains without processors that this process may use do not count: memory alone, or another job's. */
static int read_domains(const char *folder, const cpu_set_t *allowed, cpu_set_t domain[MOST_DOMAINS])
{
    int count = 0;
    for (int i = 0; i < MOST_DOMAINS; i++) {
        char *path = text_format("%s/node%d/cpulist", folder, i);
        FILE *f = fopen(path, "re");
        if (f && read_list(f, allowed, &domain[count]) > 0) count++;
        if (f) fclose(f);
        free(path);
    }
    return count;
}

bool numa_processors(const char *folder, int index, int workers, const cpu_set_t *allowed, cpu_set_t *out)
{
    cpu_set_t domain[MOST_DOMAINS];
    const int domains = read_domains(folder ? folder : "/sys/devices/system/node", allowed, domain);
    if (domains < 2 || workers < domains || workers % domains != 0 || index < 0 || index >= workers) return false;
    *out = domain[index / (workers / domains)];
    return true;
}

void numa_bind(int index, int workers)
{
    cpu_set_t allowed, own;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    if (!numa_processors(NULL, index, workers, &allowed, &own)) return;
    if (sched_setaffinity(0, sizeof own, &own) != 0)
        log_line(LOG_WARNING, "worker %d of %d is not bound to a NUMA domain: the system refuses", index + 1, workers);
}
