import { hash } from 'node:crypto';

const bitsPerName = 16;
const probes = 8;

/** A name as filters ask for it; made once for all of them. */
export interface Probe {
  readonly start: number;
  readonly step: number;
}

export function probeOf(name: string): Probe {
  const digest = hash('sha1', name, 'buffer');
  return { start: digest.readUInt32BE(0), step: digest.readUInt32BE(4) };
}

/**
 * Recognises a name that was certainly not added; one in two thousand others passes. Two bytes for each name.
 */
export class NameFilter {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  static for(names: number): NameFilter {
    return new NameFilter(new Uint8Array(Math.ceil((Math.max(names, 1) * bitsPerName) / 8)));
  }

  add(name: string): void {
    for (const bit of this.#bits(probeOf(name))) {
      const at = bit >>> 3;
      this.bytes[at] = (this.bytes[at] ?? 0) | (1 << (bit & 7));
    }
  }

  mayHold(probe: Probe): boolean {
    return this.#bits(probe).every((bit) => ((this.bytes[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0);
  }

  #bits({ start, step }: Probe): number[] {
    const size = this.bytes.length * 8;
    return Array.from({ length: probes }, (_, i) => (start + i * step + i * i * i) % size);
  }
}
