/* fuzz_record.c - any bytes as a chain and its head: up to the first byte 0x1f the head, then the lines. What is read as whole can be gone on
 * with, and is whole after that; reading it once more says the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trust/chain.h"

static char path[64], head[80];

static void write_file(const char *to, const uint8_t *data, size_t bytes)
{
    FILE *f = fopen(to, "wb");
    if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f) != 0) abort();
}

static void go_on(const TrustChain *before)
{
    TrustChain known = {0}, after;
    json_t *line = json_pack("{s:s}", "what", "more");
    if (before->count < INT64_MAX / 2 && before->latest_s < INT64_MAX / 2) {
        if (failed(trust_chain_append(path, (json_t *[]){line}, 1, 1, (TrustSigner){0}, &known))) abort();
        if (failed(trust_chain_read(path, (TrustChainSink){0}, &after)) || after.count != before->count + 1) abort();
    }
    json_decref(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TrustChain c, again;
    char *text, *seal;
    if (!*path) {
        snprintf(path, sizeof path, "%s/reelwright-record.%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
                 (long)getpid());
        snprintf(head, sizeof head, "%s.head", path);
    }
    const uint8_t *end = memchr(data, 0x1f, size);
    const size_t first = end ? (size_t)(end - data) : 0;
    unlink(head);
    if (first) write_file(head, data, first);
    write_file(path, end ? end + 1 : data, end ? size - first - 1 : size);
    trust_chain_read_head(path, &text, &seal);
    free(text);
    free(seal);
    if (!failed(trust_chain_read(path, (TrustChainSink){0}, &c))) {
        if (failed(trust_chain_read(path, (TrustChainSink){0}, &again)) || again.count != c.count ||
            strcmp(again.hash, c.hash) != 0)
            abort();
        go_on(&c);
    }
    char lock[80];
    snprintf(lock, sizeof lock, "%s.lock", path);
    unlink(path);
    unlink(head);
    unlink(lock);
    return 0;
}
