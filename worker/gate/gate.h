/* gate.h - quality gates: numbers measured over a clip in one pass, each with the bounds of a set (configs/gates.yaml, as JSON), and a
 * verdict. What each number is: common/gates.h; how it is measured: look.h, texture.h, series.h, flash.h, hearing.h.
 *
 * A gate that has nothing to measure (loudness of a clip without sound) or no bound in the set is left out. */
#ifndef REELWRIGHT_GATE_H
#define REELWRIGHT_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/gates.h"
#include "common/looks.h"
#include "worker/gate/film.h"

typedef struct {
    GateBounds bound[GATE_COUNT];
} GateSet;

int gate_find(const char *name); /* -1: there is none */
/* {"black": {"hold": 0.05, "fail": 0.5}, "loudness": {"hold": -10, "hold_low": -20}, ...}. ERR_INPUT names what is unknown or no number. */
Status gate_set_parse(const char *json, GateSet *out);

typedef struct { /* what the clip was promised to be; 0 = nothing was said */
    double length_s;
    bool sound;
} GatePromise;

typedef enum { GATE_PASS, GATE_HOLD, GATE_FAIL } GateVerdict;
extern const char *const gate_verdict_name[]; /* "pass", "hold", "fail" */
extern const char *const gate_name[], *const gate_unit[];

enum { GATE_MAX_AT = 16 };
typedef struct {
    bool measured;
    double value, threshold; /* the bound that decided, or the nearest one */
    GateVerdict verdict;
    int at_count;
    double at[GATE_MAX_AT]; /* seconds: where it goes beyond the first bound */
} GateFinding;

typedef struct {
    GateVerdict verdict; /* the worst */
    GateFinding gate[GATE_COUNT];
    Looks looks; /* perceptual hashes, for near-duplicates */
    double
        vbench; /* VBench's temporal flickering, (255 - mean change) / 255; it has no bound, for motion counts in it too */
} GateReport;

/* {"verdict": "hold", "gates": {"black": {"value", "threshold", "verdict", "at": [...]}}}, json_decref() it */
json_t *gate_report_json(const GateReport *r);

typedef struct Gate Gate;

Gate *gate_begin(const GateSet *set, GatePromise promise); /* set is copied */
void gate_abandon(Gate **g);
void gate_floats(Gate *g, const float *rgb,
                 size_t count); /* the decoder's own, before they are clipped: how many are no number */
Status gate_picture(Gate *g, const FilmPicture *p);
/* What others have measured: the label in a finished file, a command's answer. It stands instead of what is measured here; the worst of
 * several counts. at_s: where; NAN = nowhere in particular. */
const Looks *gate_looks(const Gate *g); /* so far */
void gate_tell(Gate *g, int gate, double value, double at_s);
Status gate_sound(Gate *g, const float *samples, int count, int channels, int rate);
/* info: what the file says, NULL when the pictures come from no file. Frees *g. */
void gate_end(Gate **g, const FilmInfo *info, GateReport *out);

/* All of it on a file. ERR_INPUT when it is no video. */
Status gate_file(const char *path, const GateSet *set, GatePromise promise, GateReport *out);

#endif
