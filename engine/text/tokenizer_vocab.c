#include "tokenizer_vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clean_text.h"
#include "common/file.h"

/* Unknown text costs this much more than the least likely piece (SentencePiece's kUnkPenalty). */
static const double unknown_penalty = 10.0;

static Status no_memory(size_t bytes) { return status_fail(ERR_NODE, "out of memory: %zu bytes", bytes); }

static bool grow(void **at, size_t *room, size_t needed, size_t size)
{
    if (needed <= *room) return true;
    size_t more = needed + needed / 2 + 64;
    void *p = realloc(*at, more * size);
    if (!p) return false;
    *at = p;
    *room = more;
    return true;
}

Status tokenizer_vocab_add(TokenizerVocab *v, const char *text, size_t length, double score, int type)
{
    if (v->count >= INT32_MAX || length > INT32_MAX) return status_fail(ERR_INPUT, "more pieces than ids");
    if (!grow((void **)&v->piece, &v->room, v->count + 1, sizeof *v->piece) ||
        !grow((void **)&v->text, &v->text_room, v->text_bytes + length, 1))
        return no_memory(v->text_bytes + length);
    v->piece[v->count++] = (TokenizerPiece){
        .at = v->text_bytes, .length = (uint32_t)length, .type = (uint8_t)(type & 0x7f), .score = score};
    if (length) memcpy(v->text + v->text_bytes, text, length);
    v->text_bytes += length;
    return status_ok();
}

Status tokenizer_vocab_set_charsmap(TokenizerVocab *v, const void *bytes, size_t n)
{
    free(v->charsmap);
    v->charsmap = NULL;
    v->charsmap_bytes = n;
    if (n == 0) return status_ok();
    v->charsmap = malloc(n);
    if (!v->charsmap) return no_memory(n);
    memcpy(v->charsmap, bytes, n);
    return status_ok();
}

void tokenizer_vocab_free(TokenizerVocab *v)
{
    free(v->text);
    free(v->piece);
    free(v->sorted);
    free(v->charsmap);
    *v = (TokenizerVocab){0};
}

/* ------------------------------------------------------------------------------------------------- finding */

static uint64_t head_of(const char *text, size_t length)
{
    uint64_t head = 0;
    for (size_t i = 0; i < 8; i++) head = head << 8 | (i < length ? (uint8_t)text[i] : 0);
    return head;
}

static int compare_texts(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t shared = a_length < b_length ? a_length : b_length;
    int order = shared ? memcmp(a, b, shared) : 0;
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_entries(const void *a, const void *b, void *vocab)
{
    const TokenizerEntry *x = a, *y = b;
    const TokenizerVocab *v = vocab;
    if (x->head != y->head) return x->head < y->head ? -1 : 1;
    const TokenizerPiece *p = &v->piece[x->id], *q = &v->piece[y->id];
    int order = compare_texts(v->text + p->at, p->length, v->text + q->at, q->length);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

static bool same_text(const TokenizerVocab *v, uint32_t a, uint32_t b)
{
    const TokenizerPiece *p = &v->piece[a], *q = &v->piece[b];
    return p->length == q->length && memcmp(v->text + p->at, v->text + q->at, p->length) == 0;
}

Status tokenizer_vocab_index(TokenizerVocab *v)
{
    double least = INFINITY;
    v->sorted = malloc((v->count + 1) * sizeof *v->sorted);
    if (!v->sorted) return no_memory(v->count * sizeof *v->sorted);
    for (size_t i = 0; i < v->count; i++) {
        const TokenizerPiece *p = &v->piece[i];
        v->sorted[i] = (TokenizerEntry){head_of(v->text + p->at, p->length), (uint32_t)i};
        if (p->score < least) least = p->score;
    }
    v->unknown_score = least - unknown_penalty;
    qsort_r(v->sorted, v->count, sizeof *v->sorted, compare_entries, v);
    size_t n = 0;
    for (size_t i = 0; i < v->count; i++) {
        if (n > 0 && same_text(v, v->sorted[n - 1].id, v->sorted[i].id)) n--;
        v->sorted[n++] = v->sorted[i];
    }
    v->sorted_count = n;
    return status_ok();
}

/* The pieces sorted[low..high) begin with the bytes read so far, of which there are depth. */
typedef struct {
    size_t low, high, depth;
} Walk;

/* Byte number depth of a piece: -1 when it ends before. */
static int byte_at(const TokenizerVocab *v, const TokenizerEntry *e, size_t depth)
{
    const TokenizerPiece *p = &v->piece[e->id];
    if (depth >= p->length) return -1;
    return depth < 8 ? (int)(e->head >> (56 - 8 * depth) & 0xff) : (uint8_t)v->text[p->at + depth];
}

/* The first entry of the walk whose next byte is at least value. */
static size_t bound(const TokenizerVocab *v, const Walk *w, int value)
{
    size_t low = w->low, high = w->high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (byte_at(v, &v->sorted[middle], w->depth) < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Reads one more byte; false when no piece begins so. */
static bool walk_on(const TokenizerVocab *v, Walk *w, char byte)
{
    size_t low = bound(v, w, (uint8_t)byte);
    size_t high = bound(v, &(Walk){low, w->high, w->depth}, (uint8_t)byte + 1);
    *w = (Walk){low, high, w->depth + 1};
    return low < high;
}

/* The piece that is exactly what was read, or -1. */
static int64_t walk_piece(const TokenizerVocab *v, const Walk *w)
{
    if (w->low >= w->high) return -1;
    uint32_t id = v->sorted[w->low].id;
    return v->piece[id].length == w->depth ? (int64_t)id : -1;
}

int64_t tokenizer_vocab_find(const TokenizerVocab *v, const char *text, size_t length)
{
    Walk w = {0, v->sorted_count, 0};
    for (size_t i = 0; i < length; i++) {
        if (!walk_on(v, &w, text[i])) return -1;
    }
    return walk_piece(v, &w);
}

/* ------------------------------------------------------------------------------------------------- the best path */

typedef struct {
    double score;
    size_t from; /* where the last piece of the best path to here begins; NOWHERE: not reached yet */
    int64_t id;
} Node;

static const size_t nowhere = SIZE_MAX;

/* Of equal scores the path found first stays: pieces are tried from left to right and from short to long. */
static void offer(Node *node, double score, size_t from, int64_t id)
{
    if (node->from == nowhere || score > node->score) *node = (Node){score, from, id};
}

static void find_path(const TokenizerVocab *v, const char *word, size_t length, Node *node)
{
    for (size_t i = 0; i <= length; i++) node[i] = (Node){0, nowhere, 0};
    for (size_t from = 0, step; from < length; from += step) {
        uint32_t c = 0;
        bool known = false;
        step = clean_text_decode((const uint8_t *)word + from, length - from, &c);
        if (step == 0) step = 1; /* cannot happen with text that was checked */
        Walk w = {0, v->sorted_count, 0};
        for (size_t end = from; end < length && walk_on(v, &w, word[end]); end++) {
            int64_t id = walk_piece(v, &w);
            if (id < 0) continue;
            offer(&node[end + 1], v->piece[id].score + node[from].score, from, id);
            known = known || w.depth == step;
        }
        if (!known) offer(&node[from + step], v->unknown_score + node[from].score, from, TOKENIZER_UNKNOWN_ID);
    }
}

void tokenizer_vocab_encode(const TokenizerVocab *v, const char *word, size_t length, TokenizerEmit *emit,
                            void *context)
{
    Node *node = memory_get(length + 1, sizeof *node);
    size_t *next = memory_get(length + 1, sizeof *next);
    find_path(v, word, length, node);
    for (size_t at = length; at > 0; at = node[at].from) next[node[at].from] = at;
    for (size_t from = 0, end; from < length; from = end) {
        end = next[from];
        bool unknown = node[end].id == TOKENIZER_UNKNOWN_ID;
        while (unknown && end < length && node[next[end]].id == TOKENIZER_UNKNOWN_ID) end = next[end];
        /* unknown neighbours are one token, and their text together may be a piece */
        int64_t id = unknown ? tokenizer_vocab_find(v, word + from, end - from) : node[end].id;
        emit(context, id < 0 ? TOKENIZER_UNKNOWN_ID : id);
    }
    free(next);
    free(node);
}
