/* metrics.h - the campaigns of a run as OpenMetrics 1.0 text, which Prometheus and what is like it read. README lists them. */
#ifndef REELWRIGHT_METRICS_H
#define REELWRIGHT_METRICS_H

#include <stdio.h>

#include "coordinator/ledger/view.h"

#define METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* s and totals: [count], of the same campaigns */
void metrics_write(FILE *f, const Snapshot *s, const LeaseTotals *totals, int count, double now_s);

#endif
