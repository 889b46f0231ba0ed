#include "webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "common/base64.h"
#include "common/file.h"
#include "common/hash.h"

enum { CONNECT_MS = 5000, WHOLE_MS = 10000, KEY_MOST = 4096 };
static const char key_variable[] = "REELWRIGHT_WEBHOOK_SECRET";

unsigned char *webhook_key(const char *text, size_t *bytes)
{
    static const char prefix[] = "whsec_";
    size_t n = strcspn(text, "\r\n");
    char *line = memory_get(n + 1, 1);
    memcpy(line, text, n);
    unsigned char *key = NULL;
    *bytes = n;
    if (strncmp(line, prefix, sizeof prefix - 1) == 0)
        key = base64_bytes(line + sizeof prefix - 1, bytes);
    else if (n > 0)
        key = (unsigned char *)text_copy(line);
    free(line);
    return key;
}

Status webhook_read_key(const char *secret_file, unsigned char **key, size_t *bytes)
{
    char *text = NULL;
    const char *given = getenv(key_variable);
    *key = NULL;
    *bytes = 0;
    if (secret_file)
        TRY(status_at(file_read(secret_file, KEY_MOST, &text, bytes), "notify.secret_file"));
    else if (given)
        text = text_copy(given);
    if (!text) return status_ok();
    *key = webhook_key(text, bytes);
    free(text);
    return *key ? status_ok()
                : status_fail(ERR_INPUT, "%s: expected a key, or whsec_ and base64",
                              secret_file ? secret_file : key_variable);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char *line = text_format("%s: %s", name, value);
    list = curl_slist_append(list, line);
    free(line);
    if (!list) abort();
    return list;
}

static struct curl_slist *make_headers(const WebhookPost *p)
{
    char when[24];
    snprintf(when, sizeof when, "%lld", (long long)p->timestamp_s);
    struct curl_slist *list = add_header(NULL, "content-type", "application/json");
    list = add_header(list, "user-agent", "reelwright");
    list = add_header(list, "webhook-id", p->id);
    list = add_header(list, "webhook-timestamp", when);
    if (!p->key) return list;
    unsigned char digest[HASH_BYTES];
    char *signed_text = text_format("%s.%s.%s", p->id, when, p->body);
    hash_sign(p->key, p->key_bytes, signed_text, strlen(signed_text), digest);
    char *base64 = base64_text(digest, sizeof digest), *value = text_format("v1,%s", base64);
    list = add_header(list, "webhook-signature", value);
    free(value);
    free(base64);
    free(signed_text);
    return list;
}

static int look_up(void *self, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const WebhookPost *p = self;
    (void)a, (void)b, (void)c, (void)d;
    return p->must_end && p->must_end(p->self);
}

static size_t ignore(char *data, size_t size, size_t count, void *self)
{
    (void)data, (void)self;
    return size * count;
}

static double limit_s(const WebhookPost *p)
{
    return 0 < p->limit_s && p->limit_s < WHOLE_MS / 1e3 ? p->limit_s : WHOLE_MS / 1e3;
}

static void set_up(CURL *c, const WebhookPost *p, const struct curl_slist *headers)
{
    curl_easy_setopt(c, CURLOPT_URL, p->address);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L); /* a thread of a process that has its own use for signals */
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(limit_s(p) * 1e3));
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(p->body));
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, p->body);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look_up);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, p);
}

static Status status_of_answer(CURLcode code, long answer, const char *host, double limit)
{
    if (code == CURLE_OPERATION_TIMEDOUT) return status_fail(ERR_RETRY, "%s: no answer within %g s", host, limit);
    if (code != CURLE_OK) return status_fail(ERR_RETRY, "%s: %s", host, curl_easy_strerror(code));
    if (answer >= 200 && answer < 300) return status_ok();
    ErrClass err = answer == 408 || answer == 429 || answer >= 500 ? ERR_RETRY : ERR_INPUT;
    return status_fail(err, "%s: answered with status %ld, expected 2xx", host, answer);
}

Status webhook_post(const WebhookPost *p)
{
    CURL *c = curl_easy_init();
    if (!c) return status_fail(ERR_RETRY, "libcurl cannot start");
    struct curl_slist *headers = make_headers(p);
    set_up(c, p, headers);
    CURLcode code = curl_easy_perform(c);
    long answer = 0;
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &answer);
    if (p->answered) /* nothing was sent where there is no connection */
        *p->answered = code == CURLE_OK || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
    const char *host = strstr(p->address, "//");
    char name[128];
    host = host ? host + 2 : p->address;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(host, "/?#"), host);
    Status status = status_of_answer(code, answer, name, limit_s(p));
    curl_slist_free_all(headers);
    curl_easy_cleanup(c);
    return status;
}
