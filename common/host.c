#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void host_name(char name[HOST_BYTES])
{
    const char *node = getenv("SLURMD_NODENAME"); /* set on the nodes of a job */
    char own[HOST_BYTES] = "";
    gethostname(own, sizeof own - 1);
    snprintf(name, HOST_BYTES, "%s", node && *node ? node : own);
}
