import { gitRef, version } from '../base/version.ts';

/** `Teleport v4.5.0 git:1a2b3c4 node24.21.0`: what `version` prints in all three programs. */
export const versionLine = (): string => `Teleport v${version} git:${gitRef} node${process.versions.node}`;
