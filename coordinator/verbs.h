/* verbs.h - the verbs of the farm. argv[0] is the verb's name; the table in main.c lists them with their summaries, and maps
 * the Status to the exit code. */
#ifndef REELWRIGHT_COORDINATOR_VERBS_H
#define REELWRIGHT_COORDINATOR_VERBS_H

#include "common/status.h"

Status verb_check(int argc, char **argv);

#endif
