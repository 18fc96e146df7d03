/**
 * 53 bits of a name, exact in a double on the wire: two lanes of 32-bit multiply and rotate over its UTF-16 units, mixed at the
 * end as in MurmurHash3 (Austin Appleby, public domain). Every gateway must get the same number, so there is no seed: who
 * chooses names that collide only shares a fair rate with itself.
 */
export function tenantHash(name: string): number {
  let low = 0x9747b28c ^ name.length;
  let high = 0x85ebca6b ^ name.length;
  for (let i = 0; i < name.length; i += 1) {
    const unit = name.charCodeAt(i);
    low = Math.imul(low ^ unit, 0xcc9e2d51);
    low = (low << 15) | (low >>> 17);
    high = Math.imul(high ^ unit, 0x1b873593);
    high = (high << 13) | (high >>> 19);
  }
  return (mix(high ^ (low >>> 11)) & 0x1fffff) * 2 ** 32 + mix(low ^ (high >>> 7));
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
