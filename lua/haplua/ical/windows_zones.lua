-- SPDX-License-Identifier: MIT
--
--- The IANA names of the zones that Windows has, for calendars that name such a zone and do not describe it. Of several
-- IANA zones it is the one that CLDR 48 gives for the whole world ("001"). CLDR keeps old names, such as Asia/Calcutta,
-- which not every system has; here is Asia/Kolkata. A table of our own, since ICU, which has it, is 30 MB that nothing
-- else needs; Microsoft adds a zone every few years.

-- IANA's city = Windows' name, which ends in "Standard Time" where it says nothing of time.
local areas <const> = {
  Africa = [[
    Cairo=Egypt; Casablanca=Morocco; Johannesburg=South Africa; Juba=South Sudan; Khartoum=Sudan; Lagos=W. Central
    Africa; Nairobi=E. Africa; Sao_Tome=Sao Tome; Tripoli=Libya; Windhoek=Namibia
  ]],
  America = [[
    Adak=Aleutian; Anchorage=Alaskan; Araguaina=Tocantins; Argentina/Buenos_Aires=Argentina; Asuncion=Paraguay;
    Bahia=Bahia; Bogota=SA Pacific; Cancun=Eastern Standard Time (Mexico); Caracas=Venezuela; Cayenne=SA Eastern;
    Chicago=Central; Cuiaba=Central Brazilian; Denver=Mountain; Grand_Turk=Turks And Caicos; Guatemala=Central
    America; Halifax=Atlantic; Havana=Cuba; Indiana/Indianapolis=US Eastern; La_Paz=SA Western; Los_Angeles=Pacific;
    Mazatlan=Mountain Standard Time (Mexico); Mexico_City=Central Standard Time (Mexico); Miquelon=Saint Pierre;
    Montevideo=Montevideo; New_York=Eastern; Nuuk=Greenland; Phoenix=US Mountain; Port-au-Prince=Haiti;
    Punta_Arenas=Magallanes; Regina=Canada Central; Santiago=Pacific SA; Sao_Paulo=E. South America;
    St_Johns=Newfoundland; Tijuana=Pacific Standard Time (Mexico); Whitehorse=Yukon
  ]],
  Asia = [[
    Amman=Jordan; Baghdad=Arabic; Baku=Azerbaijan; Bangkok=SE Asia; Barnaul=Altai; Beirut=Middle East;
    Bishkek=Central Asia; Chita=Transbaikal; Colombo=Sri Lanka; Damascus=Syria; Dhaka=Bangladesh; Dubai=Arabian;
    Hebron=West Bank; Hovd=W. Mongolia; Irkutsk=North Asia East; Jerusalem=Israel; Kabul=Afghanistan;
    Kamchatka=Russia Time Zone 11; Karachi=Pakistan; Kathmandu=Nepal; Kolkata=India; Krasnoyarsk=North Asia;
    Magadan=Magadan; Novosibirsk=N. Central Asia; Omsk=Omsk; Pyongyang=North Korea; Qyzylorda=Qyzylorda;
    Riyadh=Arab; Sakhalin=Sakhalin; Seoul=Korea; Shanghai=China; Singapore=Singapore; Srednekolymsk=Russia Time Zone
    10; Taipei=Taipei; Tashkent=West Asia; Tbilisi=Georgian; Tehran=Iran; Tokyo=Tokyo; Tomsk=Tomsk;
    Ulaanbaatar=Ulaanbaatar; Vladivostok=Vladivostok; Yakutsk=Yakutsk; Yangon=Myanmar; Yekaterinburg=Ekaterinburg;
    Yerevan=Caucasus
  ]],
  Atlantic = [[
    Azores=Azores; Cape_Verde=Cape Verde; Reykjavik=Greenwich
  ]],
  Australia = [[
    Adelaide=Cen. Australia; Brisbane=E. Australia; Darwin=AUS Central; Eucla=Aus Central W.; Hobart=Tasmania;
    Lord_Howe=Lord Howe; Perth=W. Australia; Sydney=AUS Eastern
  ]],
  Etc = [[
    GMT+11=UTC-11; GMT+12=Dateline; GMT+2=UTC-02; GMT+8=UTC-08; GMT+9=UTC-09; GMT-12=UTC+12; GMT-13=UTC+13; UTC=UTC
  ]],
  Europe = [[
    Astrakhan=Astrakhan; Berlin=W. Europe; Bucharest=GTB; Budapest=Central Europe; Chisinau=E. Europe;
    Istanbul=Turkey; Kaliningrad=Kaliningrad; Kyiv=FLE; London=GMT; Minsk=Belarus; Moscow=Russian; Paris=Romance;
    Samara=Russia Time Zone 3; Saratov=Saratov; Volgograd=Volgograd; Warsaw=Central European
  ]],
  Indian = [[
    Mauritius=Mauritius
  ]],
  Pacific = [[
    Apia=Samoa; Auckland=New Zealand; Bougainville=Bougainville; Chatham=Chatham Islands; Easter=Easter Island;
    Fiji=Fiji; Guadalcanal=Central Pacific; Honolulu=Hawaiian; Kiritimati=Line Islands; Marquesas=Marquesas;
    Norfolk=Norfolk; Port_Moresby=West Pacific; Tongatapu=Tonga
  ]],
}

---@type table<string, string>
local names = {}
for area, cities in pairs(areas) do
  for city, name in cities:gsub("%s+", " "):gmatch("([^;= ]+)=([^;]+)") do
    name = name:gsub(" $", "")
    names[(name:find("Time", 1, true) or name:find("^UTC")) and name or name .. " Standard Time"] = area .. "/" .. city
  end
end

return names
