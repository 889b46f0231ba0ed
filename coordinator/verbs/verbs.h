/* verbs.h - the verbs of the farm. argv[0] is the verb's name; the table in main.c lists them with their summaries, and maps
 * the Status to the exit code. */
#ifndef REELWRIGHT_COORDINATOR_VERBS_H
#define REELWRIGHT_COORDINATOR_VERBS_H

#include "common/work.h"

Status verb_plan(int argc, char **argv);
Status verb_bench_campaign(int argc, char **argv);
Status verb_calibrate(int argc, char **argv, Calibrate *calibrate);
Status verb_check(int argc, char **argv);
Status verb_submit(int argc, char **argv);
Status verb_merge(int argc, char **argv);
Status verb_status(int argc, char **argv);
Status verb_pause(int argc, char **argv);
Status verb_resume(int argc, char **argv);
Status verb_cancel(int argc, char **argv);
Status verb_retry(int argc, char **argv);
Status verb_priority(int argc, char **argv);
Status verb_pilot(int argc, char **argv);
Status verb_explain(int argc, char **argv);
Status verb_cameo(int argc, char **argv);
bool verb_cameo_needs_media(int argc, char **argv); /* it is the worker's: verb_cameo_media */
Status verb_erase(int argc, char **argv);
Status verb_expire(int argc, char **argv);
Status verb_dossier(int argc, char **argv);
Status verb_keys(int argc, char **argv);
typedef Status VoiceSay(const char *spec, const char *path, double *seconds); /* worker/finish/finish_say.h */
Status verb_voices(int argc, char **argv, VoiceSay *say);
Status verb_deliver(int argc, char **argv);
Status verb_review(int argc, char **argv);
Status verb_gate(int argc, char **argv, GateFiles *run);
Status verb_verify(int argc, char **argv, VerifyFile *look);

#endif
