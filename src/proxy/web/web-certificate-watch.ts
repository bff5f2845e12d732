import { statSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { readWebCertificate, type WebCertificate } from './web-certificate-files.ts';

export interface CertificateFiles {
  readonly keyFile: string;
  readonly certificateFile: string;
}

export interface CertificateWatch {
  /** The pairs as they were when last valid, in the configured order. */
  pairs(): readonly WebCertificate[];
  close(): void;
}

const metric = 'proxy_web_certificate_refused';

/**
 * Reads the configured pairs, and again when a file changes. It polls, since a renewal may write in place,
 * rename, or move a link. An invalid pair is refused and the previous one kept, until the files change again.
 * @throws CodedError `misconfigured` naming the file, when a pair is invalid at start.
 */
export function watchWebCertificates(
  files: readonly CertificateFiles[],
  onChange: (pairs: readonly WebCertificate[]) => void,
  deps: { readonly sink: LogSink; readonly metrics: Metrics; readonly everyMs?: number },
): CertificateWatch {
  const { sink, metrics, everyMs = 1_000 } = deps;
  const seen = files.map(signOf);
  const pairs = files.map(({ keyFile, certificateFile }) => readWebCertificate(keyFile, certificateFile));
  metrics.set(metric, 0);
  const refused = new Set<number>();
  const look = (one: CertificateFiles, i: number): boolean => {
    const sign = signOf(one);
    if (sign === seen[i]) return false;
    seen[i] = sign;
    try {
      pairs[i] = readWebCertificate(one.keyFile, one.certificateFile);
      refused.delete(i);
      sink.info('the web certificate changed on disk and is served now', { file: one.certificateFile });
      return true;
    } catch (e) {
      refused.add(i);
      sink.warn('the web certificate on disk cannot be used: the previous one is kept', {
        file: one.certificateFile,
        reason: messageOf(e),
      });
      return false;
    }
  };
  const timer = startTicker(() => {
    const changed = files.map(look).some(Boolean);
    metrics.set(metric, refused.size);
    if (changed) onChange([...pairs]);
  }, everyMs);
  timer.unref();
  return {
    pairs: () => [...pairs],
    close: () => {
      stopTimer(timer);
    },
  };
}

/** Changes when either file does. */
function signOf({ keyFile, certificateFile }: CertificateFiles): string {
  return [keyFile, certificateFile]
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false, bigint: true });
      return found === undefined ? 'none' : `${found.ino}/${found.size}/${found.mtimeNs}`;
    })
    .join(' ');
}
