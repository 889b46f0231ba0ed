/* serve_judge.h - a page on which a person judges whether a recording shows somebody saying the sentence of their challenge.
 *
 * It listens on this machine alone; its address works once (serve_http.h). Recording and face come from this process' memory: nothing is
 * written to a disk for the page. The sentence is shown without its code, for who types the code has listened.
 *
 *   GET  /            the page              GET /recording, /face
 *   POST /decide      {"by", "heard", "good"} -> {"message", "verified", "over"} */
#ifndef REELWRIGHT_SERVE_JUDGE_H
#define REELWRIGHT_SERVE_JUDGE_H

#include "common/work.h"
#include "coordinator/watch/serve_text.h"

/* Prints the address, and returns when it is decided, or with ERR_INPUT at a signal before that. port 0: any that is free. */
JudgePage serve_judge;

extern const ServeText serve_judge_text[];

#endif
