/* trace.h - every recorded stage of a render in one HDF5 file, to be compared with what another implementation computed; and
 * noise given as a file instead of a seed.
 *
 * One dataset per tensor at the root, with the name, shape and type (float32, int64) that the engine gives it: "noise",
 * "step.0.cond", ... A name that comes again keeps its first value. */
#ifndef REELWRIGHT_WORKER_TRACE_H
#define REELWRIGHT_WORKER_TRACE_H

#include "engine/engine.h"

typedef struct TraceFile TraceFile;

/* blocks: also trace.* (embeddings and blocks of the first evaluation). */
Status trace_open(const char *path, bool blocks, TraceFile **out);
const Trace *trace_sink(const TraceFile *t); /* to hand to the engine; lives as long as *t */
/* Publishes the file. A put cannot fail by itself: the first failure of any stands here, and then no file appears. */
Status trace_close(TraceFile **t);
void trace_abandon(TraceFile **t); /* frees without publishing; NULL is fine */

/* Dataset /noise [C,F,H,W] or [1,C,F,H,W], any float type; free() it. ERR_INPUT names both shapes when they differ. */
Status trace_read_noise(const char *path, const int64_t dim[4], float **out);

#endif
