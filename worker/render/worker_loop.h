/* worker_loop.h - a worker process from its first word to its goodbye. */
#ifndef REELWRIGHT_WORKER_LOOP_H
#define REELWRIGHT_WORKER_LOOP_H

#include "common/work.h"

WorkerMain worker_loop;

#endif
