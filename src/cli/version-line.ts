import { version } from '../base/version.ts';

/** Set by the build; absent when the sources run as they are. */
declare const __GIT_REF__: string | undefined;

/** `Teleport v4.5.0 git:1a2b3c4 node24.21.0`: what `version` prints in all three programs. */
export const versionLine = (): string =>
  `Teleport v${version} git:${typeof __GIT_REF__ === 'string' ? __GIT_REF__ : ''} node${process.versions.node}`;
