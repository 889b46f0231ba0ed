/* driver.c - runs one fuzz target without libFuzzer: every seed of a folder, then seeded mutations of them. A smoke test:
 * what it finds is a bug, what it does not find proves little. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SEEDS = 256, MAX_BYTES = 1 << 16 };

typedef struct {
    uint8_t *data;
    size_t size;
} Seed;

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t random_next(void)
{ /* xorshift64*, Vigna 2016 */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1du) >> 32);
}

static int read_seeds(const char *folder, Seed *seed)
{
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir)) && n < MAX_SEEDS;) {
        if (entry->d_name[0] == '.') continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *f = fopen(path, "rb");
        if (!f) continue;
        seed[n].data = malloc(MAX_BYTES);
        seed[n].size = seed[n].data ? fread(seed[n].data, 1, MAX_BYTES, f) : 0;
        fclose(f);
        n++;
    }
    if (dir) closedir(dir);
    return n;
}

/* One to eight small changes: flip a bit, set a byte to an edge value, remove, repeat or overwrite a stretch. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '\n'};
    for (uint32_t k = random_next() % 8 + 1; k > 0 && size > 0; k--) {
        size_t at = random_next() % size, length = random_next() % 16 % (size - at) + 1;
        size_t from = random_next() % (size - length + 1);
        switch (random_next() % 5) {
        case 0:
            data[at] ^= (uint8_t)(1u << random_next() % 8);
            break;
        case 1:
            data[at] = edge[random_next() % sizeof edge];
            break;
        case 2:
            memmove(data + at, data + at + length, size - at - length);
            size -= length;
            break;
        case 3:
            if (size + length > MAX_BYTES) break;
            memmove(data + at + length, data + at, size - at);
            size += length;
            break;
        default:
            memmove(data + at, data + from, length);
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    static Seed seed[MAX_SEEDS];
    int n = argc > 1 ? read_seeds(argv[1], seed) : 0;
    const long mutations = argc > 2 ? strtol(argv[2], NULL, 10) : 4000;
    if (n == 0) {
        fprintf(stderr, "no seeds in %s\n", argc > 1 ? argv[1] : "(no folder named)");
        return 1;
    }
    for (int i = 0; i < n; i++) LLVMFuzzerTestOneInput(seed[i].data, seed[i].size);
    for (int i = 0; i < mutations; i++) {
        const Seed *s = &seed[i % n];
        uint8_t *data = malloc(MAX_BYTES); /* of its own, so that a read beyond it is seen */
        if (!data) return 1;
        memcpy(data, s->data, s->size);
        size_t size = mutate(data, s->size);
        uint8_t *exact = malloc(size ? size : 1);
        if (!exact) return 1;
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        free(data);
    }
    printf("%d seeds, %ld mutations\n", n, mutations);
    for (int i = 0; i < n; i++) free(seed[i].data);
    return 0;
}
