/* command.h - another program as a step of ours: it gets a text on its standard input and answers on its outputs, within limits of time
 * and size. From several threads at once. What it is given never stands in its arguments, which other users of a machine can see. */
#ifndef REELWRIGHT_COMMAND_H
#define REELWRIGHT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/status.h"

/* A command inherits this descriptor where it is open: /dev/fd/200. No other one. */
enum { COMMAND_INHERITED_FD = 200 };

typedef struct {
    const char *command;          /* for /bin/sh -c */
    const char *input;            /* to its stdin */
    size_t input_bytes;           /* 0: input is a text, which ends at its 0 byte */
    const char *variable, *value; /* one more variable of its environment; NULL: none */
    double limit_s;               /* then it and all it started are killed */
    size_t most_bytes;            /* of its stdout */
} Command;

typedef struct {
    char *out; /* what it wrote to stdout, with a 0 byte behind it */
    size_t out_bytes;
    char *err;     /* to stderr, the last 64 kB, with a 0 byte behind it */
    bool answered; /* it ended by itself: its status is its answer */
} CommandAnswer;

/* ERR_RETRY: it ran too long, was ended by a signal, exited with a status other than 0 (the message holds its last line) or wrote more
 * than most_bytes; ERR_NODE: no process. command_clear in every case. */
Status command_run(const Command *c, CommandAnswer *out);
void command_clear(CommandAnswer *a);

/* In a child between fork and exec: it ends by this signal when its parent does, and at once when that has ended already. */
void command_follow(pid_t parent, int signal);

#endif
