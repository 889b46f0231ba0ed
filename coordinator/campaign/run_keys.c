/* run_keys.c - the keys that say how a campaign is run (review, notify, deadline, limits), checked and read into its settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/moment.h"
#include "common/shell.h"
#include "coordinator/campaign/load.h"

/* Of an address's host, which may have a port: nothing leaves this machine on its way to it. */
static bool is_this_machine(const char *host, size_t length)
{
    static const char *const own[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        size_t n = strlen(own[i]);
        if (length >= n && strncasecmp(host, own[i], n) == 0 && (length == n || host[n] == ':')) return true;
    }
    return false;
}

void campaign_check_address(CampaignLoad *l, const char *key, const char *address)
{
    Place place = campaign_place(l, key);
    size_t scheme = strncmp(address, "https://", 8) == 0 ? 8 : strncmp(address, "http://", 7) == 0 ? 7 : 0;
    size_t host = scheme ? strcspn(address + scheme, "/?#") : 0;
    if (host == 0 || strpbrk(address, " \t\r\n"))
        faults_add(l->faults, place, "%s, expected an address, https://HOST/...", quoted(address).text);
    else if (scheme == 7 && !is_this_machine(address + scheme, host))
        faults_add(l->faults, place,
                   "%s, expected https://: events carry customers' ids, and http is for this machine only (localhost)",
                   quoted(address).text);
    else if (memchr(address + scheme, '@', host))
        faults_add(l->faults, place, "a user or password in the address, expected none; events are signed instead");
}

/* Who can read the key can sign as this campaign. */
static void check_secret(CampaignLoad *l, const char *file)
{
    struct stat info;
    const Place place = campaign_place(l, "notify.secret_file");
    if (customers_bad_byte(file, strlen(file)) >= 0) {
        faults_add(l->faults, place, "%s: expected a path in UTF-8", file);
    } else if (stat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        faults_add(l->faults, place, "%s: expected a regular file", file);
    } else if (info.st_mode & (S_IRWXG | S_IRWXO)) {
        char *word = shell_word(file);
        faults_add(l->faults, place, "%s: others may read it (mode %03o); `chmod 600 %s`", file,
                   (unsigned)info.st_mode & 0777u, word);
        free(word);
    }
}

static void read_notify(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    NotifySettings *n = &l->campaign->settings.notify;
    if (campaign_is_given(f->webhook)) {
        campaign_check_address(l, "notify.webhook", f->webhook);
        n->webhook = text_copy(f->webhook);
    }
    if (campaign_is_given(f->command)) n->command = text_copy(f->command);
    if (campaign_is_given(f->secret_file)) {
        char *path = path_join(l->campaign->folder, f->secret_file);
        n->secret_file = realpath(path, NULL);
        if (n->secret_file)
            check_secret(l, n->secret_file);
        else
            faults_add(l->faults, campaign_place(l, "notify.secret_file"), "%s: no such file", path);
        free(path);
    }
    for (int i = 0; i < f->events.count; i++) {
        int k = 0;
        while (settings_event[k] && strcmp(settings_event[k], f->events.word[i]) != 0) k++;
        Place place = campaign_place(l, "notify.events");
        if (f->events.line[i]) place.line = f->events.line[i];
        if (settings_event[k])
            snprintf(n->event[n->event_count++], NOTIFY_EVENT_BYTES, "%s", settings_event[k]);
        else
            faults_add(l->faults, place,
                       "%s, expected run.finished, run.stopped, run.stuck, run.max_fails, "
                       "run.waiting, pilot.ready, clip.failed or deadline.at_risk",
                       quoted(f->events.word[i]).text);
    }
}

/* The file of a series lies beside the campaigns, and is made by the first lot. */
static void read_series(CampaignLoad *l, ReviewSettings *r)
{
    const CampaignFile *f = &l->file;
    const Place place = campaign_place(l, "review.series");
    if (!campaign_is_given(f->review_series)) {
        if (campaign_file_has(f, "review.aql"))
            faults_add(l->faults, campaign_place(l, "review.aql"),
                       "expected review.series with it: an AQL is of a series");
        return;
    }
    char *path = path_join(l->campaign->folder, f->review_series), *folder = path_folder(path);
    if (customers_bad_byte(path, strlen(path)) >= 0)
        faults_add(l->faults, place, "expected a path in UTF-8");
    else if (r->policy != REVIEW_SAMPLE)
        faults_add(l->faults, place, "expected review.policy: sample with it");
    else if (!file_is_folder(folder))
        faults_add(l->faults, place, "%s: no such folder", folder);
    else
        r->series = text_copy(path), r->aql = f->review_aql;
    free(folder);
    free(path);
}

static void read_review(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    ReviewSettings *r = &l->campaign->settings.review;
    *r = (ReviewSettings){.policy = review_policy_find(*f->review ? f->review : f->review_policy),
                          .lq = f->review_lq,
                          .four_eyes = f->review_four_eyes};
    read_series(l, r);
}

void campaign_read_run_keys(CampaignLoad *l)
{
    const CampaignFile *f = &l->file;
    Settings *s = &l->campaign->settings;
    double when;
    read_review(l);
    s->priority = f->priority;
    if (!retention_parse(f->retention, &s->retention_s))
        faults_add(l->faults, campaign_place(l, "retention"), "%s, expected 30d, 12h or 8w, or none",
                   quoted(f->retention).text);
    s->pilot = f->pilot;
    s->mixed = f->reuse_mixed;
    s->keep_masters = f->keep_masters;
    memcpy(s->limit_s, f->limit_s, sizeof s->limit_s);
    if (f->max_fails && !max_fails_parse(f->max_fails, &s->max_fails))
        faults_add(l->faults, campaign_place(l, "max_fails"),
                   "%s, expected a number of clips, 20, or a share of them, 5%%", quoted(f->max_fails).text);
    if (!campaign_is_given(f->deadline)) return read_notify(l);
    if (strlen(f->deadline) >= DEADLINE_BYTES || !deadline_parse(f->deadline, 0, &when)) {
        faults_add(l->faults, campaign_place(l, "deadline"),
                   "%s, expected a time of day, \"06:00\", or \"2026-01-31 06:00\"%s", quoted(f->deadline).text,
                   strlen(f->deadline) < 14 ? "" : ", a year of four digits, a day and a time that exist");
    } else if (deadline_parse(f->deadline, moment_wall_s(), &when) && when < moment_wall_s()) {
        faults_warn(l->faults, campaign_place(l, "deadline"), "", "%s is over", quoted(f->deadline).text);
        snprintf(s->deadline, sizeof s->deadline, "%s", f->deadline);
    } else {
        snprintf(s->deadline, sizeof s->deadline, "%s", f->deadline);
    }
    read_notify(l);
}
