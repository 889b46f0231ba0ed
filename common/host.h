/* host.h - what this machine is called, for people: the name that Slurm knows it by, else its host name. */
#ifndef REELWRIGHT_HOST_H
#define REELWRIGHT_HOST_H

#include <jansson.h>

enum { HOST_BYTES = 64 };
void host_name(char name[HOST_BYTES]);
/* What records of measurements say of this machine: {"host", "cpu", "cores", "memory_bytes", "system"}, to be released. */
json_t *host_json(void);

#endif
