/* estimate.h - what a night can carry: a campaign, a record of measured times and wishes become a simulated night and its forecast. */
#ifndef REELWRIGHT_ESTIMATE_H
#define REELWRIGHT_ESTIMATE_H

#include "coordinator/campaign/campaign.h"
#include "coordinator/plan/record.h"

enum { ESTIMATE_NODES = 1 << 17 /* at most */ };

typedef struct {
    const char *record, *deadline;  /* a file, or a campaign's folder; NULL: the campaign's own */
    int nodes, workers, group_size; /* 0: as in the record */
    int finishers;                  /* on each node; negative: as in the record */
    double failures;                /* nodes that die in a thousand node-days */
    const char *dies_at,
        *node_dies_at; /* when the coordinator dies, and when a node does: as the deadline is given; NULL: not */
    double preemptions, requeue; /* in a day; s: night.h */
    double node_cost, watts;     /* of one node for an hour; what it draws; 0: not known */
} EstimateOptions;

typedef struct {     /* of the transformer's layers (common/evaluations.h) */
    double render;   /* of one render that shares no first steps, on average */
    double shared;   /* of these, in its trunk's steps */
    int64_t all;     /* in the whole campaign */
    int64_t without; /* the same without trunks, cache and interval of guidance */
} Evaluations;

typedef struct {             /* the campaign's nights by the times of one record */
    const Record *record;    /* borrowed */
    Measured render, finish; /* its times, scaled to this campaign */
    double denoise_s;        /* of such a render: what of it is denoising (median) */
    Night night;
} Basis;

typedef struct { /* borrows its options */
    const EstimateOptions *o;
    Campaign *campaign;
    Record record;
    Basis by; /* of the record's measurements the one of as many workers in as large groups as are asked for */
    int64_t *clips, clip_count; /* of each shot */
    int64_t *trunk;             /* of each shot; NULL: no first steps are shared */
    Evaluations evaluations;
    double deadline_s;               /* from the start; 0: none */
    double node_bytes, memory_bytes; /* that its processes have at most; that it has. 0: not known */
    double without_death_s;          /* p50 of the night in which nobody dies at a given time; 0: none is given */
    NightForecast forecast;
    int nodes_for_deadline; /* 0: no number of nodes is enough, or no deadline */
    char *notes;            /* what the record does not fit, one a line */
} Estimate;

/* Reads the record and the campaign, and plays nights. To be cleared in every case. ERR_INPUT: one of them is wrong. */
Status estimate_make(const EstimateOptions *o, const char *campaign, Estimate *out);
void estimate_clear(Estimate *e);
/* The answer of `plan --json` (to be released). */
json_t *estimate_json(const Estimate *e);
/* The same campaign by one of the record's measurements, whatever the options ask for; to be cleared. */
void estimate_basis(const Estimate *e, const Record *r, Basis *out);
void basis_clear(Basis *b);
typedef struct SuggestBase SuggestBase; /* suggest.h */
/* What makes renders distinct, the night that would be done first at the beginning: [{"columns", "keys", "one_seed", "shots", "shots_without",
 * "finish_p50"}]: without these columns' values in what a render is, and (one_seed) with one seed for all rows. To be released. */
json_t *estimate_sharing(const Estimate *e, const SuggestBase *base);
/* What would make it cheaper, one text each: what to write, and when the night would be done then (to be released). sharing: as above; splits:
 * how each split that the record has measured does (estimate_json). */
json_t *estimate_suggestions(const Estimate *e, const SuggestBase *base, const json_t *sharing, const json_t *splits);

#endif
