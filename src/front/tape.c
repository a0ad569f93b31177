/* tape.c: writing and reading recorded runs.
 *
 *   "pwtape2\n" │ CONF ORDER* NOTE ARG* │ BLOCK STREAM FEED FED … │ RESULT
 *
 * A record is 24 bytes and as many bytes of contents as it says, filled up to 8. FEED has the words of a stream
 * that were not in a FEED before, and says how many were offered: a sim that took fewer is offered the rest
 * again. So each word is written once.
 *
 * Invariants:
 *  I1  A recording is another's data: lengths, numbers of streams and blocks are checked before they are used.
 *  I2  A replay tells the sim what the run told it, in the same order, in the same pieces, and looks that it
 *      takes the same words: a sim that does not is of another version, and the replay ends.
 *  I3  Only a whole recording is replayed to its end: RESULT is its last record.
 */
#include "front/tape.h"

#include "base/vec.h"
#include "front/front_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC       "pwtape2\n"
#define BYTES_MAX   (RING_WORDS * 8) /* of a record: no more words are ever offered */
#define STREAMS_MAX (1u << 24)

enum record {
    REC_CONF = 1, /* contents: "key=value" */
    REC_ORDER,    /* struct proc_order */
    REC_NOTE,     /* text */
    REC_ARG,      /* text */
    REC_BLOCK,    /* who: id; struct ring_block */
    REC_STREAM,   /* who: a stream begins */
    REC_FEED,     /* who; a: words offered × 2 + ordered; words */
    REC_FED,      /* who; a: words taken */
    REC_END,      /* who: it ends */
    REC_FORCED,
    REC_STATUS, /* who: pid; a: status */
    REC_LEFT,
    REC_RESULT, /* struct front_result */
};
struct head {
    uint32_t kind;  /* enum record */
    uint32_t bytes; /* of contents */
    uint64_t who, a;
};

/* -- writing ---------------------------------------------------------------------------------- */

struct tape {
    FILE *file;
    int error; /* -errno of the first write that failed */
};

static void put(struct tape *t, enum record kind, uint64_t who, uint64_t a, const void *p,
                size_t bytes)
{
    static const char zero[8];
    const struct head h = {(uint32_t)kind, (uint32_t)bytes, who, a};

    if (!t || t->error)
        return;
    errno = 0;
    if (fwrite(&h, sizeof h, 1, t->file) != 1 || (bytes > 0 && fwrite(p, bytes, 1, t->file) != 1) ||
        (bytes % 8 && fwrite(zero, 8 - bytes % 8, 1, t->file) != 1))
        t->error = errno ? -errno : -EIO;
}

static void put_text(struct tape *t, enum record kind, uint64_t a, const char *text)
{
    put(t, kind, 0, a, text, strlen(text));
}

static void put_conf(struct tape *t, const struct conf *conf)
{
    size_t n;
    const struct conf_option *o = conf_options(&n);

    for (size_t i = 0; i < n; i++) {
        char value[CONF_TEXT_MAX + 32], line[256];
        snprintf(line, sizeof line, "%s=%s", o[i].key,
                 conf_format(conf, &o[i], value, sizeof value));
        put_text(t, REC_CONF, 0, line);
    }
}

int tape_open(struct tape **ret, const char *path, const struct tape_run *run)
{
    struct tape *t = calloc(1, sizeof *t);

    if (!t)
        return -ENOMEM;
    t->file = fopen(path, "wbe");
    if (!t->file || fwrite(MAGIC, 8, 1, t->file) != 1) {
        int error = -errno;
        if (t->file)
            fclose(t->file);
        free(t);
        return error;
    }
    put_conf(t, &run->conf);
    for (uint32_t i = 0; i < run->n_orders; i++)
        put(t, REC_ORDER, 0, 0, &run->orders[i], sizeof *run->orders);
    put_text(t, REC_NOTE, 0, run->note);
    for (char **a = run->argv; *a; a++)
        put_text(t, REC_ARG, 0, *a);
    *ret = t;
    return 0;
}

int tape_close(struct tape *t, const struct front_result *result)
{
    int error;

    if (!t)
        return 0;
    if (result)
        put(t, REC_RESULT, 0, 0, result, sizeof *result);
    error = t->error;
    if (fclose(t->file) != 0 && !error)
        error = -errno;
    free(t);
    return error;
}

void tape_block(struct tape *t, uint32_t id, const struct ring_block *b)
{
    put(t, REC_BLOCK, id, 0, b, b->bytes);
}

void tape_stream(struct tape *t, uint64_t stream)
{
    put(t, REC_STREAM, stream, 0, NULL, 0);
}

void tape_feed(struct tape *t, uint64_t stream, const uint64_t *words, uint64_t n, uint64_t fresh,
               bool ordered)
{
    put(t, REC_FEED, stream, 2 * n + ordered, words + (n - fresh), fresh * sizeof *words);
}

void tape_fed(struct tape *t, uint64_t stream, uint64_t done)
{
    put(t, REC_FED, stream, done, NULL, 0);
}

void tape_end(struct tape *t, uint64_t stream)
{
    put(t, REC_END, stream, 0, NULL, 0);
}

void tape_forced(struct tape *t)
{
    put(t, REC_FORCED, 0, 0, NULL, 0);
}

void tape_status(struct tape *t, uint32_t pid, int status)
{
    put(t, REC_STATUS, pid, (uint32_t)status, NULL, 0);
}

void tape_left(struct tape *t)
{
    put(t, REC_LEFT, 0, 0, NULL, 0);
}

/* -- reading ---------------------------------------------------------------------------------- */

/* One stream of a replay. */
struct voice {
    struct sim_thread *thread; /* NULL: none, or over */
    uint64_t *words;           /* offered and not taken: from `at` on, n in all; owned */
    size_t cap;
    uint64_t at, n;
};

struct tape_in {
    FILE *file;
    struct head h;  /* of the record read last … */
    uint8_t *bytes; /* … its contents, and a zero; owned */
    size_t cap;
    bool pending;        /* it is not used yet */
    bool over;           /* RESULT was read */
    uint64_t records;    /* read */
    struct voice *voice; /* by number of stream; n_voices; owned */
    size_t cap_voice;
    uint32_t n_voices;
};

static int refuse(const struct tape_in *t, const char *why, char *err, size_t err_size)
{
    snprintf(err, err_size, "record %llu: %s", (unsigned long long)t->records, why);
    return -EINVAL;
}

/* next reads a record; false at the end of the file, and when it is cut. */
static bool next(struct tape_in *t)
{
    uint8_t *room;
    size_t bytes;

    if (t->pending) {
        t->pending = false;
        return true;
    }
    if (fread(&t->h, sizeof t->h, 1, t->file) != 1 || t->h.bytes > BYTES_MAX)
        return false;
    bytes = (t->h.bytes + 7u) / 8 * 8;
    while (t->cap < bytes + 8) {
        room = vec_room(t->bytes, t->cap, &t->cap, 1);
        if (!room)
            return false;
        t->bytes = room;
    }
    t->records++;
    t->bytes[t->h.bytes] = 0;
    if (bytes > 0 && fread(t->bytes, bytes, 1, t->file) != 1)
        return false;
    t->bytes[t->h.bytes] = 0;
    return true;
}

static int read_arg(struct tape_in *t, struct tape_run *run, uint32_t n)
{
    char **argv = realloc(run->argv, (n + 2) * sizeof *argv);

    if (!argv)
        return -ENOMEM;
    run->argv = argv;
    argv[n + 1] = NULL;
    argv[n] = strdup((const char *)t->bytes);
    return argv[n] ? 0 : -ENOMEM;
}

static int read_order(struct tape_in *t, struct tape_run *run)
{
    struct proc_order *all = realloc(run->orders, (run->n_orders + 1) * sizeof *all);

    if (!all)
        return -ENOMEM;
    run->orders = all;
    memcpy(&all[run->n_orders], t->bytes, sizeof *all);
    all[run->n_orders].key[sizeof all->key - 1] = 0;
    all[run->n_orders++].value[sizeof all->value - 1] = 0;
    return 0;
}

/* read_begin takes one record of the beginning; 1: it is none. */
static int read_begin(struct tape_in *t, struct tape_run *run, uint32_t *n_args, char *err,
                      size_t err_size)
{
    switch ((enum record)t->h.kind) {
    case REC_CONF:
        return conf_assign(&run->conf, (const char *)t->bytes, err, err_size);
    case REC_ORDER:
        return t->h.bytes == sizeof *run->orders ? read_order(t, run)
                                                 : refuse(t, "of another version", err, err_size);
    case REC_NOTE:
        snprintf(run->note, sizeof run->note, "%s", (const char *)t->bytes);
        return 0;
    case REC_ARG:
        return read_arg(t, run, (*n_args)++);
    default:
        t->pending = true;
        return 1;
    }
}

int tape_read(struct tape_in **ret, const char *path, struct tape_run *run, char *err,
              size_t err_size)
{
    struct tape_in *t = calloc(1, sizeof *t);
    char magic[8];
    uint32_t n_args = 0;
    int error = 0;

    *run = (struct tape_run){.n_orders = 0};
    conf_init(&run->conf);
    snprintf(err, err_size, "%s", strerror(ENOMEM));
    if (!t)
        return -ENOMEM;
    t->file = fopen(path, "rbe");
    if (!t->file) {
        error = -errno;
        snprintf(err, err_size, "%s", strerror(errno));
    } else if (fread(magic, 8, 1, t->file) != 1 || memcmp(magic, MAGIC, 8) != 0) {
        error = refuse(t, "it is no recording of pagewalk", err, err_size);
    }
    while (error == 0 && next(t))
        error = read_begin(t, run, &n_args, err, err_size);
    if (error == 0 || (error > 0 && n_args == 0))
        error = refuse(t, "the recording is cut", err, err_size);
    if (error < 0)
        tape_done(t, run);
    else
        *ret = t;
    return error < 0 ? error : 0;
}

/* voice_of returns a stream of the replay; NULL: no such one may be. */
static struct voice *voice_of(struct tape_in *t, uint64_t stream)
{
    while (stream < STREAMS_MAX && stream >= t->n_voices) {
        struct voice *all = vec_room(t->voice, t->n_voices, &t->cap_voice, sizeof *all);
        if (!all)
            return NULL;
        t->voice = all;
        all[t->n_voices++] = (struct voice){.thread = NULL};
    }
    return stream < t->n_voices ? &t->voice[stream] : NULL;
}

/* take_words puts the fresh words behind those that were not taken. */
static bool take_words(struct tape_in *t, struct voice *v)
{
    uint64_t fresh = t->h.bytes / 8;

    if (v->at > 0)
        memmove(v->words, v->words + v->at, (v->n - v->at) * sizeof *v->words);
    v->n -= v->at;
    v->at = 0;
    if (v->n + fresh > RING_WORDS)
        return false;
    if (v->n + fresh > v->cap) {
        size_t cap = 2 * (v->n + fresh);
        uint64_t *words = realloc(v->words, cap * sizeof *words);
        if (!words)
            return false;
        v->words = words;
        v->cap = cap;
    }
    if (fresh > 0)
        memcpy(v->words + v->n, t->bytes, fresh * sizeof *v->words);
    v->n += fresh;
    return true;
}

static const char *play_feed(struct tape_in *t, struct sim *sim, struct voice *v)
{
    uint64_t offered = t->h.a / 2, done, who = t->h.who;
    bool ordered = t->h.a % 2;
    enum sim_stop stop;
    int verdict;

    if (!v->thread || t->h.bytes % 8 || !take_words(t, v) || offered > v->n)
        return "words of a stream that cannot have them";
    done = sim_feed(sim, v->thread, v->words, offered, ordered, &stop);
    sim_take_verdict(v->thread, &verdict);
    v->at = done;
    if (!next(t) || t->h.kind != REC_FED || t->h.who != who || t->h.a != done)
        return "the simulator took other words than when it was recorded";
    return NULL;
}

static const char *play_stream(struct tape_in *t, struct sim *sim, struct voice *v)
{
    if (v->thread)
        return "a stream that is there begins";
    free(v->words);
    (void)t;
    *v = (struct voice){.thread = sim_thread_open(sim)};
    return v->thread ? NULL : strerror(ENOMEM);
}

static const char *play_end(struct sim *sim, struct voice *v)
{
    if (!v->thread)
        return "a stream that is not there ends";
    sim_thread_close(sim, v->thread);
    v->thread = NULL;
    return NULL;
}

static const char *play_block(const struct tape_in *t, struct sim *sim)
{
    const struct ring_block *b = (const void *)t->bytes;

    if (t->h.who >= RING_BLOCK_MAX || !block_valid(b, t->h.bytes))
        return "a damaged block";
    return sim_add_block(sim, (uint32_t)t->h.who, b) == 0 ? NULL : strerror(ENOMEM);
}

/* play tells the sim one record; returns what is wrong with it, or NULL. */
static const char *play(struct tape_in *t, struct sim *sim, struct tape_run *run)
{
    struct voice *v = NULL;
    uint32_t victim;

    if (t->h.kind == REC_STREAM || t->h.kind == REC_FEED || t->h.kind == REC_END)
        if (!(v = voice_of(t, t->h.who)))
            return "a stream of a number that none has";
    while (sim_next_victim(sim, &victim))
        ; /* it died in the run */
    switch ((enum record)t->h.kind) {
    case REC_BLOCK:
        return play_block(t, sim);
    case REC_STREAM:
        return play_stream(t, sim, v);
    case REC_FEED:
        return play_feed(t, sim, v);
    case REC_END:
        return play_end(sim, v);
    case REC_FORCED:
        sim_order_forced(sim);
        return NULL;
    case REC_STATUS:
        sim_process_status(sim, (uint32_t)t->h.who, (int)t->h.a);
        return NULL;
    case REC_LEFT:
        sim_left(sim);
        return NULL;
    case REC_RESULT:
        if (t->h.bytes != sizeof run->result)
            return "of another version";
        memcpy(&run->result, t->bytes, sizeof run->result);
        run->result.path[sizeof run->result.path - 1] = 0;
        t->over = true;
        return NULL;
    default:
        return "of a kind that does not come here";
    }
}

int tape_play(struct tape_in *t, struct sim *sim, struct tape_run *run, char *err, size_t err_size)
{
    sim_follow_tree(sim);
    while (!t->over && next(t)) {
        const char *wrong = play(t, sim, run);
        if (wrong)
            return refuse(t, wrong, err, err_size);
    }
    return t->over ? 0 : refuse(t, "the recording is cut", err, err_size);
}

void tape_done(struct tape_in *t, struct tape_run *run)
{
    for (uint32_t i = 0; i < t->n_voices; i++)
        free(t->voice[i].words); /* threads are the sim's */
    if (t->file)
        fclose(t->file);
    free(t->voice);
    free(t->bytes);
    free(t);
    for (char **a = run->argv; a && *a; a++)
        free(*a);
    free(run->argv);
    free(run->orders);
    *run = (struct tape_run){.n_orders = 0};
}
