/* conf.h: options. One table (conf.def) gives struct conf, parsing, ranges, help and docs.
 *
 * A conf is one complete, valid value: conf_init fills the defaults, conf_set refuses a bad value
 * and leaves the conf as it was. Modules take a const pointer when they open and read it then.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/bits.h"

#include <stddef.h>
#include <stdint.h>

#define CONF_TEXT_MAX 96 /* bytes of a text option, the final 0 included */

enum conf_type { CONF_T_NUM, CONF_T_SIZE, CONF_T_BOOL, CONF_T_ENUM, CONF_T_TEXT };

/* Values of the enumerated options, in the order of their tables. */
enum conf_tlb_sizes { TLB_SIZES_4K = 1, TLB_SIZES_2M = 2, TLB_SIZES_1G = 4 }; /* a bit mask */
enum conf_index { INDEX_LINEAR, INDEX_XOR7, INDEX_XOR8 };
enum conf_tlb_policy { TLB_LRU, TLB_PLRU, TLB_MRU3, TLB_RANDOM };
enum conf_cache_policy { CACHE_LRU, CACHE_PLRU, CACHE_RANDOM };
enum conf_l3_kind { L3_VICTIM, L3_INCLUSIVE, L3_NEITHER };
enum conf_swap_device { SWAP_DISK, SWAP_SSD, SWAP_RAM };
enum conf_pagecache { PAGECACHE_WARM, PAGECACHE_COLD };

struct conf {
#define CONF_NUM(ident, key, def, min, max, unit, help) uint64_t ident;
#define CONF_SIZE(ident, key, def, min, max, help)      uint64_t ident;
#define CONF_BOOL(ident, key, def, help)                uint64_t ident;
#define CONF_ENUM(ident, key, choices, def, help)       uint64_t ident;
#define CONF_TEXT(ident, key, def, help)                char ident[CONF_TEXT_MAX];
#include "conf/conf_rows.h"
};

struct conf_option {
    const char *key; /* "tlb.l2.entries" */
    enum conf_type type;
    size_t offset; /* of the field in struct conf */
    uint64_t def, min, max;
    const char *unit;    /* "" when it has none */
    const char *choices; /* "a|b|c", for CONF_T_ENUM */
    const char *text;    /* default, for CONF_T_TEXT */
    const char *help;
};

/* conf_options returns the table and stores its length. */
const struct conf_option *conf_options(size_t *ret_n);
/* conf_find returns the option of that key or NULL. */
const struct conf_option *conf_find(const char *key);
/* conf_init fills every option with its default. */
void conf_init(struct conf *c);
/* conf_set stores one value given as text. On a bad key or value it returns -EINVAL, writes one
 * line without newline (what, which range, how to fix) to err and leaves the conf untouched. */
int conf_set(struct conf *c, const char *key, const char *value, char *err, size_t err_size);
/* conf_assign is conf_set for one "key=value" word. */
int conf_assign(struct conf *c, const char *assignment, char *err, size_t err_size);
/* conf_format writes the value of an option as conf_set takes it; returns buf. */
char *conf_format(const struct conf *c, const struct conf_option *o, char *buf, size_t size);
/* conf_number writes v as that option would be given, with a suffix if it is a size; for printing
 * defaults and ranges. Returns buf. */
char *conf_number(const struct conf_option *o, uint64_t v, char *buf, size_t size);
/* conf_check looks at combinations (ways divide entries, sets are powers of two where they must
 * be, tree-PLRU has a power of two of ways, memory fits the address width). 0, or -EINVAL with a
 * line in err. */
int conf_check(const struct conf *c, char *err, size_t err_size);
/* conf_load reads a machine file over what is in c: INI without sections, `key = value`, comments
 * with # or ;. On an error returns -errno or -EINVAL with "file:line: what" in err; c is untouched. */
int conf_load(struct conf *c, const char *path, char *err, size_t err_size);

/* What the options numa.… say together. */
#define CONF_NODES_MAX 64
struct conf_numa {
    unsigned nodes;                                   /* of the machine, 1..64 */
    uint64_t size[CONF_NODES_MAX];                    /* bytes of each; Σ = phys_size */
    uint8_t distance[CONF_NODES_MAX][CONF_NODES_MAX]; /* from, to: as ACPI's SLIT gives it */
    uint8_t weight[CONF_NODES_MAX];                   /* of interleaving; 0: not given */
    uint32_t bandwidth[CONF_NODES_MAX];               /* MB/s; 0: not known */
};
/* conf_numa works the options out. 0, or -EINVAL with a line in err. */
int conf_numa(const struct conf *c, struct conf_numa *ret, char *err, size_t err_size);
/* conf_reserve_ratios reads vm.lowmem_reserve_ratio: five numbers, zone DMA first. */
int conf_reserve_ratios(const struct conf *c, uint64_t ret[5], char *err, size_t err_size);

#endif
