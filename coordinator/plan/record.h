/* record.h - what nights on real machines have taken: the measured times that a plan is made of. One JSON file.
 *
 *   {"format": "reelwright-record 1",
 *    "measured_s": seconds since 1970,
 *    "machine": {"host", "cpu", "cores", "memory_bytes", "system"},
 *    "work": {"model", "width", "height", "frames", "steps", "guidance", "evaluations", "renditions": [names], "backend", "dtype"},
 *                               evaluations of the transformer's layers in a render that shares no first steps (common/evaluations.h)
 *    "nodes", "workers", "group_size", "finishers", "both": true,        workers and finishers of one node
 *    "nights": [{"wall_s", "start_s", "end_s", "first_frame_s", "shots", "clips", "energy_j", "gpu_energy_j"}],
 *                               wall_s from the program's start to its end; start_s, first_frame_s from its start to the first lease, and to the first frame
 *                               that anybody decoded; energy of the processors and of the GPUs, left out where it cannot be read
 *    "load_s": [...], "render_s": [...], "finish_s": [...],               one number for each lease; a render that took its first steps
 *                                                                         from a trunk counts as if it had computed them
 *    "first_frame_s": [...],                                              from a render lease's beginning to its first frame, loading included
 *    "leases", "failed": of all that ended, so many failed or were lost with their worker,
 *    "stages": {"text_s", "denoise_s", "decode_s"},                        medians of a render; decode_s of one that was
 *                                                                         decoded beside another: processor time
 *    "finish": {"gates_s", "watermark_s", "credentials_s"},               medians of those parts of a finish, which finish_s includes; summed over
 *                                                                         threads, so that together they may be more than finish_s; 0: there are none
 *    "memory": {"renderer_bytes", "finisher_bytes", "added": {"start" | "load" | "text" | "denoise" | "decode" | "finish": bytes}},
 *                               the most that a process has had, pages that it shares with others included: of those who render, and of those who
 *                               only finish; added: of the former by how much its peak grew in which stage. 0: not known
 *    "sizes": {"master_bytes", "clip_bytes", "checkpoint_bytes"},         means: of a shot's master, of all files of a clip, of a shot's checkpoint; 0: not known
 *    "gap_s", "run_sd", "worker_sd",                                      night.h
 *    "file_system": {...} (disk.h), "network": {"ranks", "bytes", "median_s", "bytes_per_s"},      null: not measured
 *    "roofline": {"threads", "dtype", "instructions", "peaks": {"fp32", ...}, "peak_bytes_per_s", "operations": [{"name", "dtype", "flop", "bytes",
 *         "s"}]},      null likewise
 *    "others": [...],                                                     records without others: the same work by other numbers of workers,
 *                                                                         or by groups of another size
 *    "invalid": ["rule that was broken", ...]}
 *
 * A record comes from `reelwright bench CAMPAIGN.yaml`, or from the folder of any campaign that has run. */
#ifndef REELWRIGHT_RECORD_H
#define REELWRIGHT_RECORD_H

#include <jansson.h>

#include "common/status.h"
#include "coordinator/ledger/ledger.h"
#include "coordinator/plan/night.h"

typedef struct {
    double *s;
    int count, room;
} Measured; /* owned times */

typedef struct Record Record;
struct Record {
    json_t *machine, *work, *invalid; /* as above */
    int nodes, workers, group_size, finishers;
    bool both;
    json_t *nights, *file_system, *network, *roofline; /* the last three NULL: not measured */
    double measured_s;                                 /* since 1970; 0: not known */
    Measured load, render, finish, first_frame;
    double gates_s, watermark_s, credentials_s; /* of a finish */
    int64_t renderer_bytes, finisher_bytes;
    json_t *memory_added;
    double master_bytes, clip_bytes, checkpoint_bytes;
    double text_s, denoise_s, decode_s;
    int64_t leases, failed;
    double gap_s, run_sd, worker_sd, start_s, end_s;
    double worker_variance; /* summed over so many nights, until record_settle */
    int worker_nights;
    Record *
        other; /* [other_count] the same work by other numbers of workers or larger groups; they have no others themselves */
    int other_count;
};

/* FILE.json, or a campaign's folder. ERR_INPUT names what is missing or out of range. record_clear in every case. */
Status record_read(const char *path, Record *out);
/* Adds what the leases of a campaign's folder say. wall_s: of the whole program, 0: not known (then from the ledger's times). */
Status record_add_folder(const char *folder, double wall_s, Record *r);
/* This machine used so much in the last folder's night (energy.h): its processors, its GPUs; 0: it could not be read. */
void record_add_energy(Record *r, double processors_j, double gpus_j);
typedef struct {
    double processors, gpus; /* mean of all nights; 0: not known */
} Watts;
Watts record_watts(const Record *r);
double record_watts_known(
    const Record *r); /* the sum of what is known; 0 where it leaves out the GPUs that the record's work was done by */
typedef struct {
    double node, core, gpu, kwh; /* clips in an hour of each; of a kWh; 0: there is none, or it is not known */
} ClipRates;
ClipRates record_rates(const Record *r);
/* Only times, of the last so many leases; load_s and render_s as above. */
Status record_add_latest(Ledger *l, int64_t most, Record *r);
void record_begin(Record *r);         /* empty, with this machine */
void record_settle(Record *r);        /* after the last folder: spreads, and the rules of a record that counts */
json_t *record_json(const Record *r); /* to be released */
Status record_write(const Record *r, const char *path);
void record_clear(Record *r);
Record *record_add_other(Record *r); /* one more, empty (record_begin) */
/* The i-th measurement: the record itself, then the others; NULL: there is none. */
const Record *record_of(const Record *r, int i);

void measured_add(Measured *m, double s);
double measured_quantile(const Measured *m, double q); /* 0 of none */

#endif
