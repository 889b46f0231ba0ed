/* store.c - a store is opened, made where it is not there yet, checked as a whole, and closed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/inside.h"

static Status make_folders(const TrustStore *s)
{
    static const char *const names[] = {"cameos", "consents", "revocations"};
    char *parent = path_folder(s->folder);
    Status status = file_make_folders(parent);
    free(parent);
    if (!failed(status) && mkdir(s->folder, 0700) != 0 && errno != EEXIST)
        status = status_errno(ERR_INPUT, "cannot make folder %s", s->folder);
    for (size_t i = 0; i < sizeof names / sizeof *names && !failed(status); i++) {
        char *path = trust_path(s, "%s", names[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST) status = status_errno(ERR_INPUT, "cannot make folder %s", path);
        free(path);
    }
    return status;
}

/* Somebody who can change the store's folder can take consents out of it: nobody but its owner may. */
static Status check_mode(const TrustStore *s)
{
    struct stat info;
    if (stat(s->folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return status_fail(ERR_INPUT, "%s: no trust store there; `reelwright cameo add` makes one", s->folder);
    if (info.st_mode & 077)
        return status_fail(ERR_INPUT, "%s: others may look into the trust store: chmod 700 %s", s->folder, s->folder);
    return status_ok();
}

static bool is_store(const TrustStore *s)
{
    char *path = trust_path(s, "signers.json");
    bool yes = file_exists(path);
    free(path);
    return yes;
}

/* A store whose signers are gone but whose log is there was tampered with: it is not made anew. */
static Status make_store(TrustStore *s)
{
    int lock;
    TRY(trust_chain_lock(s->log, &lock));
    Status status = status_ok();
    if (is_store(s)) goto out;
    if (file_exists(s->log))
        TRY_OUT(status_fail(ERR_INPUT, "%s: signers.json is missing; restore it from a copy", s->folder));
    s->signer_count = 1;
    memcpy(s->signer[0], trust_secret_public(s->secret), TRUST_KEY_BYTES);
    status = trust_write_signers(s, s->secret, NULL);
out:
    trust_chain_unlock(&lock);
    return status;
}

Status trust_open(const char *given, TrustMode mode, TrustStore **out)
{
    TrustStore *s = memory_get(1, sizeof *s);
    *out = NULL;
    s->mode = mode;
    s->folder = trust_find(given);
    s->log = trust_path(s, "log.jsonl");
    Status status = status_ok();
    if (mode == TRUST_WRITE && file_is_folder(s->folder)) /* before somebody looks at what could not be kept */
        TRY_OUT(status_at(file_check_writable(s->folder), "the trust store"));
    if (mode == TRUST_WRITE) TRY_OUT(make_folders(s));
    TRY_OUT(check_mode(s));
    if (mode != TRUST_WRITE && !is_store(s))
        TRY_OUT(status_fail(ERR_INPUT, "%s: no trust store there; `reelwright cameo add` makes one", s->folder));
    TRY_OUT(trust_secret_open(s->folder, mode == TRUST_WRITE && !is_store(s), &s->secret));
    if (mode == TRUST_WRITE) TRY_OUT(make_store(s));
    TRY_OUT(trust_read_signers(s));
    trust_harden_process();
    *out = s;
    s = NULL;
out:
    trust_close(&s);
    return status;
}

void trust_close(TrustStore **store)
{
    TrustStore *s = *store;
    if (!s) return;
    trust_drop_held(s);
    trust_forget(s);
    trust_secret_close(&s->secret);
    free(s->folder);
    free(s->log);
    free(s);
    *store = NULL;
}

const char *trust_folder(const TrustStore *s) { return s->folder; }

Status trust_check(TrustStore *s, int64_t *lines, int *cameos, int *consents)
{
    char **id = NULL;
    int count = 0;
    *cameos = *consents = 0;
    Status status = trust_refresh(s);
    if (!failed(status)) status = trust_list(s, &id, &count);
    *lines = s->chain.count;
    for (int i = 0; i < count; i++) {
        TrustWhole w = {0};
        if (!failed(status)) status = trust_read_whole(s, id[i], &w);
        for (int k = 0; k < w.record.medium_count && !failed(status); k++) {
            unsigned char *data;
            size_t bytes;
            int before = 0;
            for (int j = 0; j < k; j++) before += strcmp(w.record.medium[j].kind, w.record.medium[k].kind) == 0;
            status = trust_read_medium(s, &w.record, w.record.medium[k].kind, before, &data, &bytes);
            trust_memory_free(data);
        }
        *cameos += !failed(status);
        *consents += w.consents.count;
        trust_record_clear(&w.record);
        trust_consents_clear(&w.consents);
        free(id[i]);
    }
    free(id);
    return status;
}
