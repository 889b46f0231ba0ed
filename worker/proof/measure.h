/* measure.h - a command of the campaign's that measures for gates what no program can without learned weights: whether a face is the
 * reference's above all. It is run once for each clip, when its first file is there, and has MEASURE_SECONDS.
 *
 * It gets one JSON object on its standard input:
 *   {"version": 1, "file": path of the clip, "gates": [the names that have bounds in the campaign's set],
 *    "references": [paths of pictures that the shot was made with], and where the clip shows a cameo's face
 *    "face": "/dev/fd/200" (the picture, in memory only), "consent": number}
 * and writes one to its standard output:
 *   {"gates": {NAME: {"value": number, "at": seconds (may be left out)}, ...}, "engine", "version", "model_sha256", "licences": {...}}
 * NAME is any gate of common/gates.h; its value counts instead of ours, against the set's bounds. What it does not name stays as it is. */
#ifndef REELWRIGHT_MEASURE_H
#define REELWRIGHT_MEASURE_H

#include "common/finish_spec.h"
#include "common/shot.h"
#include "worker/gate/gate.h"

enum { MEASURE_SECONDS = 300 };

typedef struct { /* borrowed */
    const char *command, *file;
    const FinishSpec *spec;
    const ShotSpec *shot;
} MeasureWish;

/* *said: what it answered, for the clip's document. ERR_RETRY: the command failed; ERR_CLIP: it answered something else than the above. */
Status measure_by_command(const MeasureWish *w, Gate *gate, json_t **said);
/* Its answer; for a fuzzer, too. */
Status measure_take(const char *answer, size_t bytes, Gate *gate, json_t **said);

#endif
