/* record_plots.h - the drawings of a record's page (record_page.h): each with its heading; nothing where the record has nothing for it. */
#ifndef REELWRIGHT_RECORD_PLOTS_H
#define REELWRIGHT_RECORD_PLOTS_H

#include <stdio.h>

#include "coordinator/plan/record_page.h"

void record_plot_shares(FILE *f, const NamedRecord *records, int count); /* count: 1 or 2, as for the next */
void record_plot_leases(FILE *f, const NamedRecord *records, int count);
void record_plot_scaling(FILE *f, const Record *r);
void record_plot_roofline(FILE *f, const json_t *roofline);
/* Any number of records; the last one says whose history it is. */
void record_plot_history(FILE *f, const NamedRecord *records, int count);

#endif
