/* output.h - one rendition of a clip: frames at its rate, size and crop, with overlays and label, in a file that was read back.
 *
 * kind video: an MP4. poster: a JPEG of the middle frame with every overlay. gif: frames of a third of the rate, the first of which
 * shows every overlay (mail programs that play none show that one). */
#ifndef REELWRIGHT_OUTPUT_H
#define REELWRIGHT_OUTPUT_H

#include "common/shot.h"
#include "worker/finish/extras.h"
#include "worker/proof/prove.h"

typedef struct Output Output;

/* How frames of its rate are made (rate.h). */
const char *output_convert(const Rendition *r);

typedef struct { /* borrowed */
    const Rendition *rendition;
    int width, height, frames, fps; /* of the shot */
    Extras *extras;
    const char *producer, *clip_id; /* for the label's metadata */
    Prove *prove;                   /* sees each picture, last of all; NULL: nobody does */
    int number;                     /* of the rendition, for prove */
} OutputOrder;

/* Lays out texts and label, so from one thread at a time. What it is put may come from any thread. */
Status output_begin(const char *path, const OutputOrder *order, Output **out);
/* Frames [n,H,W,3] at this output's rate, in order. */
Status output_put(Output *o, const float *frames, int n, int height, int width);
/* Publishes the file, reads it back and checks it. Frees *o also when it fails. *report: a JSON object (fps, frames, duration_s, bytes,
 * lufs, true_peak_db ...), the caller's; NULL when it fails. */
Status output_end(Output **o, json_t **report);
void output_abandon(Output **o); /* leaves no file; NULL is fine */

#endif
