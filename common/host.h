/* host.h - what this machine is called, for people: the name that Slurm knows it by, else its host name. */
#ifndef REELWRIGHT_HOST_H
#define REELWRIGHT_HOST_H

enum { HOST_BYTES = 64 };
void host_name(char name[HOST_BYTES]);

#endif
