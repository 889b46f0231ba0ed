/* clip.h - a clip: one customer's deliverable, as the coordinator orders it and a worker reports it. */
#ifndef REELWRIGHT_CLIP_H
#define REELWRIGHT_CLIP_H

#include <stdint.h>

#include "common/hash.h"
#include "common/shot.h"

typedef struct
{ /* one row of configs/renditions.yaml, which says what each field means: a format that a clip is delivered in */
    char name[32];
    int width, height; /* pixels of the file */
    int crf;
    char preset[16];
    int max_kbps; /* 0 = no cap */
    /* what follows may be absent in a document: "", 0 */
    char kind[8];              /* video, poster or gif; "" = video */
    char codec[8];             /* h264, h265, av1, vp9; "" = h264 */
    char fit[8], color[8];     /* canvas.h; "" = pad, #000000 */
    int fps;                   /* of the file; 0 = the shot's */
    int min_fps, max_fps;      /* the shot's own is kept within these; max_fps 0 = fps holds always */
    char convert[8];           /* rate.h; "" = motion */
    char sound[8];             /* auto, always or none; "" = auto */
    double lufs, true_peak_db; /* 0 = -14, -1.5 */
    double safe_top, safe_right, safe_bottom,
        safe_left;       /* per cent of the picture where a platform draws its own things */
    double min_s, max_s; /* of a clip that the platform takes; 0 = any */
    double max_mb;       /* of the file, in 1,000,000 bytes; 0 = any */
} Rendition;

enum { MAX_RENDITIONS = 12 };

/* Two kinds of work. A render makes a shot's master: its frames in one lossless file. A finish makes one clip of a master. */
typedef enum { LEASE_RENDER, LEASE_FINISH, LEASE_KINDS } LeaseKind;
const char *lease_kind_name(LeaseKind k); /* "render", "finish" */

enum { LEASE_MAX_RANKS = 64 /* of a group */, CLIP_MAX_FILES = 64, CLIP_MAX_MASTERS = 1024 };

typedef struct { /* of a master: who reads it knows whether it is whole */
    int64_t bytes;
    char sha256[HASH_TEXT];
} MasterFile;

typedef struct { /* what a worker is asked to do */
    LeaseKind kind;
    int64_t lease;         /* number of this lease, unique in the ledger */
    int64_t epoch;         /* of the coordinator that gave it */
    char key[HASH_TEXT];   /* of the shot */
    char *campaign_folder; /* --out */
    char *spec;            /* the shot as JSON (shot.h): what ledger and message carry */
    ShotSpec shot;         /* the worker's: wire_decode reads it from spec; the coordinator leaves it empty */
    char *clip_id;         /* the row's id; of a render: the first that wants it, for logs and pages */
    int clip_count;        /* of a render: how many want it */
    /* of a render */
    int steps; /* the coordinator's: what it expects of the shot, 0: as many as its voice takes; not in the message */
    int checkpoint_every; /* steps; 0 = decide by measured step time */
    int mixed;            /* 1: a shot may go on by another kind of processor, back end or split than began it */
    char model_hash[HASH_TEXT];
    char *model_folder;
    int64_t group; /* number of the group that renders it, unique in the job: it is formed anew when this changes */
    int member_count;
    int member[LEASE_MAX_RANKS]; /* its ranks in the job; the first one answers for all */
    /* of a finish */
    char *stem;        /* file name without folder, rendition and ending; safe for any file system */
    char *finish;      /* what every clip of the campaign is finished with: finish_spec.h */
    char *clip_finish; /* what this one is finished with beside that; "" nothing */
    MasterFile master;
} Lease;

typedef struct { /* one clip, finished */
    char *clip_id;
    char *file;             /* of the first rendition; relative to the campaign folder, as the next two */
    char *thumbnail;        /* PNG; "" none */
    char *sheet;            /* contact sheet, PNG or JPEG; "" none */
    char sha256[HASH_TEXT]; /* of file */
    double duration_s;
    int width, height; /* of file */
    int name_count;
    char **name; /* all its files, as they are called in clips/: each begins with the stem and a dot */
    /* What else finishing it has found, one JSON object, kept in the ledger as it is: "files" (name, bytes, sha256 of each), and
     * what its stages add. */
    char *document;
} ClipResult;

typedef struct { /* how a lease ended */
    LeaseKind kind;
    int64_t lease, epoch;
    char key[HASH_TEXT];
    int err;        /* ErrClass; 0 = done */
    char *reason;   /* "" when done */
    int disk_full;  /* 1: it failed because the campaign's disk is full */
    int master_bad; /* 1: a finish failed because its master is missing or damaged */
    double encode_text_s, denoise_s, decode_s, finish_s; /* wall seconds spent in each stage;
                                                          * decoded beside another lease: of its thread's processor time */
    int steps_done;                                      /* of this attempt */
    int steps_resumed;                                   /* taken over from the checkpoint */
    int group_over;                                      /* 1: the group that rendered it cannot go on as it is */
    char *figures;                                       /* JSON, worker/render/figures.h; "" or NULL: none */
    MasterFile master;                                   /* of a render */
    ClipResult clip;                                     /* of a finish */
} LeaseResult;

void lease_clear(Lease *l); /* frees what it owns and zeroes the rest */
void lease_result_clear(LeaseResult *r);
void clip_result_clear(ClipResult *r);

/* Where files lie, relative to the campaign folder; free() the text.
 *
 * A worker writes the files of a lease into a folder of that lease alone, work/LEASE. The coordinator moves them to their places,
 * masters/KEY.mkv and clips/NAME, when it takes the result. So a worker that was given up and wakes up again replaces nothing. */
char *lease_work_folder(int64_t lease);
char *lease_master_name(const char *key);                       /* without folder */
extern const char lease_work[], lease_masters[], lease_clips[]; /* "work", "masters", "clips" */

#endif
