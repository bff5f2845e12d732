import { closeSync, openSync, watch } from 'node:fs';
import { Observable, share } from 'rxjs';

/**
 * Emits when any process has touched the hint file, which each does after a commit. One watch serves all
 * subscribers. When the file cannot be made or watched (no more inotify watches) there are no hints, and the
 * log relies on polling.
 */
export function hintsOf(path: string): Observable<void> {
  return new Observable<void>((subscriber) => {
    try {
      closeSync(openSync(path, 'a', 0o600));
      const watcher = watch(path, { persistent: false }, () => {
        subscriber.next();
      });
      // Lost hints cost a poll interval, nothing else.
      watcher.on('error', () => {
        watcher.close();
      });
      return () => {
        watcher.close();
      };
    } catch {
      return undefined;
    }
  }).pipe(share());
}
