/* settings.h - how a campaign is to be run, as its file says: what may change from one run to the next without making other
 * clips. The ledger keeps them as JSON, so that a job's coordinator needs no campaign file. */
#ifndef REELWRIGHT_SETTINGS_H
#define REELWRIGHT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef enum { STAGE_LOAD, STAGE_TEXT, STAGE_DENOISE, STAGE_DECODE, STAGE_FINISH, STAGE_COUNT } Stage;
const char *stage_name(Stage s);  /* as workers report it: "denoise" */
int stage_find(const char *name); /* -1: none of them */

enum { NOTIFY_MAX_EVENTS = 16, NOTIFY_EVENT_BYTES = 32, DEADLINE_BYTES = 32 };

typedef struct { /* whom to tell, and of what; NULL: nobody */
    char *webhook, *command;
    char *secret_file; /* the key that signs webhooks is read from there; NULL: the environment's, if any */
    int event_count;
    char event[NOTIFY_MAX_EVENTS][NOTIFY_EVENT_BYTES];
} NotifySettings;

enum { DELIVERY_MAX_COLUMNS = 16 };

typedef struct {    /* what happens to a clip that is approved; NULL: nothing of the kind */
    char *upload;   /* a command, of each clip */
    char *webhook;  /* an address that is told of each delivered clip */
    char *suppress; /* a file of those who get nothing: suppress.h */
    int suppress_by_count;
    char *suppress_by[DELIVERY_MAX_COLUMNS]; /* columns whose cells the file may name */
    double time_limit_s;                     /* of one upload */
    int retries, parallel;
} DeliverySettings;

typedef struct {
    double count; /* negative: no limit */
    bool percent; /* of the campaign's clips */
} MaxFails;

typedef enum { REVIEW_NONE, REVIEW_SAMPLE, REVIEW_ALL } ReviewPolicy;
typedef struct {
    ReviewPolicy policy;
    double lq;      /* per cent: limiting quality of a sample */
    bool four_eyes; /* an approval takes two people */
    double aql;     /* per cent; 0: the campaign is no lot of a series */
    char *series;   /* the file that the series' lots are noted in; NULL: none */
} ReviewSettings;

typedef struct { /* owns its texts: settings_clear */
    int priority;
    int pilot;                     /* clips to render first; 0: none */
    char deadline[DEADLINE_BYTES]; /* as the file says it; "" none */
    MaxFails max_fails;
    bool mixed;               /* reuse: {mixed: true} */
    bool keep_masters;        /* they stay when their last clip is finished */
    int limit_s[STAGE_COUNT]; /* between two signs of progress; 0: measured */
    double retention_s;       /* of personal data after a clip was decided about; negative: for ever */
    NotifySettings notify;
    DeliverySettings delivery;
    ReviewSettings review;
    bool list_bom; /* the list begins with a byte order mark, as the table did */
} Settings;

void settings_clear(Settings *s);
/* One line of JSON; free() it. */
char *settings_to_json(const Settings *s);
Status settings_from_json(const char *text, Settings *out); /* ERR_FATAL: damaged */

ReviewPolicy review_policy_find(const char *name); /* "none", "sample", "all" */
/* "30d", "12h", "8w", or "none": negative. False: neither. */
bool retention_parse(const char *text, double *out_s);
/* "12", "2.5%" or "none". False: neither. */
bool max_fails_parse(const char *text, MaxFails *out);
/* Most clips that may fail of so many; -1: any number. */
int64_t max_fails_of(const MaxFails *m, int64_t clips);

/* The events that can be told of, NULL at the end. Those of events.jsonl are more. */
extern const char *const settings_event[];

/* "06:00" (the first one after now_s, local time) or "2026-01-31 06:00". False: neither. */
bool deadline_parse(const char *text, double now_s, double *out_s);

#endif
