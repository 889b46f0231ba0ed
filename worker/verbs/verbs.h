/* verbs.h - the verbs that run the engine on this machine. argv[0] is the verb's name; the table in coordinator/main.c
 * lists them with their summaries, and maps the Status to the exit code. */
#ifndef REELWRIGHT_WORKER_VERBS_H
#define REELWRIGHT_WORKER_VERBS_H

#include "common/work.h"

Status verb_render(int argc, char **argv, LaunchRanks *launch);
Status verb_inspect(int argc, char **argv);
/* `cameo add` and `cameo verify`: argv[1] says which. */
Status verb_cameo_media(int argc, char **argv, JudgePage *page);
Status verb_bench(int argc, char **argv, LaunchRanks *launch);
GateFiles verb_gate_files;
VerifyFile verb_verify_file;
Calibrate calibrate;

#endif
