import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { selfSignedWebCertificate } from '../../pki/web-certificate.ts';
import type { WebCertificate } from './web-certificate-files.ts';
import { type CertificateWatch, watchWebCertificates } from './web-certificate-watch.ts';

let dir: string;
let sink: ReturnType<typeof recordingSink>;
let watch: CertificateWatch | undefined;
let gauge: number;
const metrics = {
  add: () => undefined,
  set: (_: string, value: number) => (gauge = value),
  observe: () => undefined,
};
const files = (): { keyFile: string; certificateFile: string } => ({
  keyFile: join(dir, 'key.pem'),
  certificateFile: join(dir, 'cert.pem'),
});
const made = (name: string): WebCertificate =>
  selfSignedWebCertificate({ hostnames: [name], now: '2026-01-01T00:00:00.000Z' });
function put(pair: Partial<WebCertificate>): void {
  for (const [file, text] of [
    ['key.pem', pair.keyPem],
    ['cert.pem', pair.certificatePem],
  ] as const) {
    if (text === undefined) continue;
    writeFileSync(join(dir, `${file}.new`), text);
    renameSync(join(dir, `${file}.new`), join(dir, file));
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  dir = mkdtempSync(join(tmpdir(), 'certificate-watch-'));
  sink = recordingSink();
  gauge = Number.NaN;
});
afterEach(() => {
  watch?.close();
  vi.useRealTimers();
  rmSync(dir, { recursive: true });
});

describe('watching the certificate files of the web port', () => {
  it('serves a changed pair at the next look', () => {
    const [first, second] = [made('a'), made('b')];
    put(first);
    const changes: (readonly WebCertificate[])[] = [];
    watch = watchWebCertificates([files()], (pairs) => changes.push(pairs), { sink, metrics });
    expect(watch.pairs()).toEqual([first]);
    vi.advanceTimersByTime(1_000);
    expect(changes).toEqual([]);
    put(second);
    vi.advanceTimersByTime(1_000);
    expect(changes).toEqual([[second]]);
  });

  it('serves a pair that was written over the old one, as long as that and in its place', () => {
    const first = made('a');
    let second = made('b');
    while (second.certificatePem.length !== first.certificatePem.length) second = made('b');
    put(first);
    watch = watchWebCertificates([files()], () => undefined, { sink, metrics });
    const { keyFile, certificateFile } = files();
    writeFileSync(keyFile, second.keyPem);
    writeFileSync(certificateFile, second.certificatePem);
    // The time of a file goes in ticks of the system.
    for (const file of [keyFile, certificateFile]) utimesSync(file, 1, 1);
    vi.advanceTimersByTime(1_000);
    expect(watch.pairs()).toEqual([second]);
  });

  it('keeps the old pair while the new one is half written, or gone', () => {
    const [first, second] = [made('a'), made('b')];
    put(first);
    let changes = 0;
    watch = watchWebCertificates([files()], () => changes++, { sink, metrics });
    expect(gauge).toBe(0);
    put({ certificatePem: second.certificatePem });
    vi.advanceTimersByTime(1_000);
    expect(watch.pairs()).toEqual([first]);
    expect(gauge).toBe(1);
    // It is looked at again when the files change, and not before.
    vi.advanceTimersByTime(3_000);
    expect(sink.lines.filter((line) => line.includes('cannot be used'))).toHaveLength(1);
    rmSync(join(dir, 'key.pem'));
    vi.advanceTimersByTime(1_000);
    expect(watch.pairs()).toEqual([first]);
    expect(changes).toBe(0);
    put(second);
    vi.advanceTimersByTime(1_000);
    expect(watch.pairs()).toEqual([second]);
    expect(changes).toBe(1);
    expect(gauge).toBe(0);
  });

  it('looks no more once it is closed', () => {
    put(made('a'));
    watch = watchWebCertificates([files()], () => expect.unreachable(), { sink, metrics });
    watch.close();
    put(made('b'));
    vi.advanceTimersByTime(5_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('refuses to begin with a bad pair, naming the file', () => {
    put({ keyPem: made('a').keyPem, certificatePem: made('b').certificatePem });
    expect(() => watchWebCertificates([files()], () => undefined, { sink, metrics })).toThrow(
      /key\.pem does not fit/,
    );
  });
});
