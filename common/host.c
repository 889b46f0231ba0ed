#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void host_name(char name[HOST_BYTES])
{
    const char *node = getenv("SLURMD_NODENAME"); /* set on the nodes of a job */
    char own[HOST_BYTES] = "";
    gethostname(own, sizeof own - 1);
    snprintf(name, HOST_BYTES, "%s", node && *node ? node : own);
}

/* "model name : Intel ..." of /proc/cpuinfo */
static void read_cpu(char *name, size_t room)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "re");
    snprintf(name, room, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(name, room, "%s", colon + 2);
        break;
    }
    if (f) fclose(f);
}

json_t *host_json(void)
{
    char cpu[200], host[HOST_BYTES] = "";
    struct utsname u = {0};
    read_cpu(cpu, sizeof cpu);
    host_name(host);
    uname(&u);
    return json_pack("{s:s, s:s, s:i, s:I, s:s}", "host", host, "cpu", cpu, "cores", (int)sysconf(_SC_NPROCESSORS_ONLN),
                     "memory_bytes", (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "system", u.release);
}
