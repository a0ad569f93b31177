/* shm_int.h: segments of System V shared memory, inside mm. */
#ifndef MM_SHM_INT_H
#define MM_SHM_INT_H

#include "mm/mm.h"

struct shm_segment {
    int32_t key;          /* IPC_PRIVATE: found by id alone */
    int32_t id;           /* what shmget returned */
    struct mm_file *file; /* its memory; of huge pages it may be longer than size */
    uint64_t size;        /* bytes, as asked for (shm_segsz) */
    uint32_t mode;        /* permissions */
    uint32_t uid, gid;    /* owner and group: IPC_SET changes them */
    uint32_t cuid, cgid;  /* of who made it */
    uint32_t cpid, lpid;  /* who made it, who attached or detached last */
    bool dest;            /* IPC_RMID: goes with the last mapping */
};

/* shm_find_id and shm_find_key return a segment or NULL; IPC_PRIVATE is no key of any. */
struct shm_segment *shm_find_id(const struct mm_sys *s, int id);
struct shm_segment *shm_find_key(const struct mm_sys *s, int32_t key);
/* shm_add_segment makes the segment `id` of the caller, with its memory: the id, or -errno. forced: no limit
 * and no right is asked for. */
int shm_add_segment(struct mm *m, int32_t key, int id, uint64_t size, int flags, bool forced);

#endif
