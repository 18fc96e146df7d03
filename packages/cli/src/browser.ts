import { existsSync, readFileSync } from 'node:fs';
import { PrivateApt } from './apt-get.ts';
import { findProgram, howToInstall, install, type Looking, type Program } from './install.ts';

/** Only the tests of pages need it: no other command looks for it. */
export const CHROMIUM: Program = {
  name: 'chromium',
  aliases: ['chromium-browser', 'google-chrome', 'google-chrome-stable'],
  override: 'CHROMIUM',
  packages: ['chromium', 'chromium-common', 'fonts-dejavu-core'],
  binary: 'usr/lib/chromium/chromium',
  settings: { file: 'fonts.conf', text: fontsConfiguration(), variable: 'FONTCONFIG_FILE' },
  least: [112, 0], // the first whose headless mode is the browser itself
};

/** `excused`: the distribution has no package of it, so that nobody can be blamed for its absence. */
export type NoBrowser = { why: string; advice: string[]; excused: boolean };

/**
 * Finds Chromium, or installs it into `.spillway` as servers are.
 * @throws CliError when the program that `CHROMIUM` names does not fit.
 */
export async function ensureBrowser(context: Looking): Promise<{ path: string } | NoBrowser> {
  const path = findProgram(context, CHROMIUM);
  if (path !== undefined) return { path };
  if (isUbuntu(osRelease())) {
    const why = 'no Chromium here, and Ubuntu has it as a snap only, which is not installed by itself';
    const advice = ["Install Google Chrome's package for Ubuntu, or: sudo snap install chromium", OR_NAME_ONE];
    return { why, advice, excused: true };
  }
  using apt = new PrivateApt(context);
  context.say('Chromium is needed for the tests of pages (about 100 MB to fetch)');
  const installed = await install(context, apt, CHROMIUM);
  if ('path' in installed) return installed;
  const why = `no Chromium here, and it could not be installed: ${installed.why}`;
  return { why, advice: [howToInstall(CHROMIUM), OR_NAME_ONE], excused: false };
}

const OR_NAME_ONE = 'Or name a browser of this family: CHROMIUM=/path/to/chromium';

const osRelease = (): string => (existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '');

/** Ubuntu itself: what is derived from it often has a package again. */
export const isUbuntu = (release: string): boolean => /^ID="?ubuntu"?$/m.test(release);

/** A page with text is never shown where there is no font at all, so one comes along; the machine's own come first. */
function fontsConfiguration(): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;
}
