/* erase.c - `reelwright erase DIR CUSTOMER` and `expire DIR`: personal data leave a campaign's folder, provably. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"
#include "common/moment.h"
#include "common/options.h"
#include "common/plural.h"
#include "coordinator/deliver/conclude.h"
#include "coordinator/deliver/dossier.h"
#include "coordinator/deliver/scrub.h"
#include "coordinator/deliver/sweep.h"
#include "coordinator/ledger/lock.h"
#include "coordinator/ledger/owner.h"
#include "coordinator/ledger/steer.h"
#include "coordinator/verbs/verbs.h"
#include "coordinator/watch/audit.h"

typedef struct {
    const char *folder, *by;
    char *const *id; /* those that are to go, [ids] */
    int64_t ids, count;
    bool *scrubbed; /* [ids]: of their prompts, too, before the ledger forgot them */
    Erased *erased; /* [count] that are gone */
} Erasing;

static void clear(Erasing *x)
{
    for (int64_t i = 0; i < x->count; i++) erased_clear(&x->erased[i]);
    free(x->erased);
    free(x->scrubbed);
}

/* Nothing is written, not even a lock, into a folder that is none of a campaign. */
static Status check_campaign(const char *folder)
{
    Ledger *l = NULL;
    Status status = ledger_open(folder, LEDGER_READ, &l);
    ledger_close(&l);
    return status;
}

/* All of them in one transaction; then the file is rewritten without what is left of them in its free pages. */
static Status erase_rows(Ledger *l, void *self)
{
    Erasing *x = self;
    for (int64_t i = 0; i < x->ids; i++) TRY(ledger_erase(l, x->id[i], &x->erased[x->count++]));
    return status_ok();
}

static Status compact(const char *folder)
{
    Ledger *l = NULL;
    TRY(ledger_open(folder, LEDGER_WRITE, &l));
    Status status = ledger_compact(l);
    ledger_close(&l);
    if (!failed(status)) ledger_settle(folder);
    return status;
}

static Status write_audit(const Erasing *x)
{
    Audit *a = NULL;
    TRY(audit_open(x->folder, &a));
    for (int64_t i = 0; i < x->count; i++)
        audit_add(a, "erasure", x->erased[i].clip_id, "{s:s,s:s}", "sha256", x->erased[i].sha256, "by", x->by);
    Status status = audit_flush(a, moment_wall_s());
    audit_close(&a);
    return status;
}

/* What events and logs say of them. Only the ledger knows what to look for, so this comes before it forgets. */
static Status scrub_first(Erasing *x)
{
    Ledger *l = NULL;
    Status status = ledger_open(x->folder, LEDGER_READ, &l);
    for (int64_t i = 0; i < x->ids && !failed(status); i++) {
        Erased e;
        status = ledger_look_to_erase(l, x->id[i], &e);
        if (!failed(status)) status = scrub_folder(x->folder, &e);
        if (!failed(status)) x->scrubbed[i] = *e.prompt != 0;
        erased_clear(&e);
    }
    ledger_close(&l);
    return status;
}

/* A dossier that was written before names the customer's clip. */
static Status renew_dossier(const char *folder)
{
    char *file = path_join(folder, "dossier.json"), *page = path_join(folder, "dossier.html");
    json_t *dossier = NULL;
    Status status = status_ok();
    if (file_exists(file) || file_exists(page)) {
        status = dossier_make(folder, &dossier);
        if (!failed(status)) status = dossier_write(folder, dossier);
        json_decref(dossier);
    }
    free(file);
    free(page);
    return status;
}

/* A kill before the ledger's commit leaves the customer to be erased by this verb again. A kill after it leaves files and pages, which
 * the next run sweeps; the texts are clean by then, but for a prompt that several customers shared who were all erased at once: it is looked for after that. */
static Status erase_all(Erasing *x, char *const *id, int64_t count)
{
    int lock = -1;
    TRY(check_campaign(x->folder));
    TRY(lock_take(x->folder, false, &lock));
    x->id = id;
    x->ids = count;
    x->erased = memory_get((size_t)count, sizeof *x->erased);
    x->scrubbed = memory_get((size_t)count, sizeof *x->scrubbed);
    Status status = scrub_first(x);
    if (!failed(status)) status = ledger_amend_folder(x->folder, 0, "erased", erase_rows, x);
    if (!failed(status)) status = write_audit(x);
    if (!failed(status)) status = sweep_leavings(x->folder, 0);
    for (int64_t i = 0; i < x->count && !failed(status); i++)
        if (*x->erased[i].prompt && !x->scrubbed[i]) status = scrub_folder(x->folder, &x->erased[i]);
    if (!failed(status)) status = compact(x->folder);
    if (!failed(status)) status = conclude_pages(x->folder);
    if (!failed(status)) status = renew_dossier(x->folder);
    lock_release(&lock);
    return status;
}

static const char *who(const char *by)
{
    const char *user = getenv("USER");
    return by ? by : user && *user ? user : "unknown";
}

Status verb_erase(int argc, char **argv)
{
    const char *by = NULL;
    int first;
    const Option table[] = {{.name = "by",
                             .kind = OPTION_TEXT,
                             .to = &by,
                             .value = "NAME",
                             .help = "who does it, for the record (the user's name)"}};
    const Usage usage = {.verb = "erase",
                         .arguments = "DIR CUSTOMER [--by NAME]",
                         .about = "Removes one customer's data from a campaign's folder: row, prompt, clips, master, "
                                  "latents, log lines, free pages\n"
                                  "of the ledger. Where others share the render, theirs stays. A tombstone stays: its "
                                  "place, a hash, the time.\n"
                                  "The campaign's own table is yours to change: take the row out there, too.",
                         .option = table,
                         .option_count = 1,
                         .min_arguments = 2,
                         .max_arguments = 2};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    Erasing x = {.folder = argv[first], .by = who(by)};
    Status status = erase_all(&x, &argv[first + 1], 1);
    if (!failed(status))
        foreign_print(stdout, "%s: customer erased; %d word%s of the row searched for and removed\n", x.folder,
                      x.erased[0].word_count, plural_s(x.erased[0].word_count));
    clear(&x);
    return status;
}

/* ---- expire ---- */

static Status find_expired(const char *folder, double age_s, char ***id, int64_t *count)
{
    Ledger *l = NULL;
    Settings settings = {0};
    *id = NULL;
    *count = 0;
    TRY(ledger_open(folder, LEDGER_READ, &l));
    Status status = ledger_read_settings(l, &settings);
    if (!failed(status) && age_s < 0) age_s = settings.retention_s;
    if (!failed(status) && age_s < 0)
        status = status_fail(ERR_INPUT,
                             "%s: its campaign has no retention; expected `retention: 30d` there, or --older-than 30d",
                             folder);
    if (!failed(status)) status = ledger_find_expired(l, moment_wall_s() - age_s, id, count);
    settings_clear(&settings);
    ledger_close(&l);
    return status;
}

Status verb_expire(int argc, char **argv)
{
    const char *by = NULL, *older = NULL;
    char **id = NULL;
    int64_t count = 0;
    double age_s = -1;
    int first;
    const Option table[] = {{.name = "older-than",
                             .kind = OPTION_TEXT,
                             .to = &older,
                             .value = "30d",
                             .help = "since the clip was decided about (the campaign's retention); 12h, 30d, 8w"},
                            {.name = "by",
                             .kind = OPTION_TEXT,
                             .to = &by,
                             .value = "NAME",
                             .help = "who does it, for the record (the user's name)"}};
    const Usage usage = {
        .verb = "expire",
        .arguments = "DIR [--older-than 30d]",
        .about = "Erases every customer whose clip is older than the campaign's `retention`, as `erase` does one.",
        .option = table,
        .option_count = 2,
        .min_arguments = 1,
        .max_arguments = 1};
    TRY(options_read(&usage, argc, argv, &first));
    if (first < 0) return status_ok();
    if (older && (!retention_parse(older, &age_s) || age_s < 0))
        return status_fail(ERR_INPUT, "--older-than %.20s: expected 12h, 30d or 8w", older);
    Erasing x = {.folder = argv[first], .by = who(by)};
    Status status = find_expired(x.folder, age_s, &id, &count);
    if (!failed(status) && count) status = erase_all(&x, id, count);
    if (!failed(status)) printf("%s: %lld customer%s erased\n", x.folder, (long long)count, plural_s(count));
    for (int64_t i = 0; i < count; i++) free(id[i]);
    free(id);
    clear(&x);
    return status;
}
